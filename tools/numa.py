#!/usr/bin/env python3
"""Boots a small virtual machine with nodes of memory, in which tests/numa/machine.c is all there is.

usage: numa.py [--nodes N] [--kernel FILE] [--log FILE] PROGRAM

The machine is qemu's, in software: no special right is needed. Its kernel is Debian's for clouds,
which `./dev setup numa` fetches; its only file system is an archive made here, with the program as
/init and the libraries that ldd names for it. What it prints on its serial line is TAP and comes
out here; the kernel's own words go to --log. Without qemu or a kernel the test is skipped.
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

NODE_BYTES = 256 << 20
SECONDS = 600  # a machine that hangs ends, too
LIBRARIES = "libraries"
# What the kernel has no use for itself, it hands to /init. Pages move when they are told to alone.
KERNEL_WORDS = "console=ttyS0 quiet loglevel=3 panic=-1 numa_balancing=disable"
DIRECTORY, PROGRAM, DEVICE = 0o040755, 0o100755, 0o020600


def record(name, mode, data=b"", device=(0, 0)):
    """One file of a cpio archive, as the kernel unpacks it ("newc")."""
    path = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return padded(head) + padded(data)


def padded(data):
    return data + b"\0" * (-len(data) % 4)


def loaded_with(program):
    """The program's libraries, and the loader itself, which is known by its whole path."""
    listed = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    return re.findall(r"=> (/\S+) \(0x", listed), re.findall(r"^\s*(/\S+) \(0x", listed, re.M)


def archive_for(program):
    libraries, loaders = loaded_with(program)
    files = {"init": (PROGRAM, pathlib.Path(program).read_bytes()), LIBRARIES: (DIRECTORY, b"")}
    for library in libraries:
        name = f"{LIBRARIES}/{pathlib.Path(library).name}"
        files[name] = (PROGRAM, pathlib.Path(library).read_bytes())
    for loader in loaders:
        for parent in reversed(pathlib.PurePosixPath(loader).parents[:-1]):
            files.setdefault(str(parent)[1:], (DIRECTORY, b""))
        files[loader[1:]] = (PROGRAM, pathlib.Path(loader).read_bytes())
    records = [record("dev", DIRECTORY), record("dev/console", DEVICE, device=(5, 1))]
    records += [record(name, mode, data) for name, (mode, data) in files.items()]
    return b"".join(records) + record("TRAILER!!!", 0)


def machine(kernel, archive, nodes):
    """qemu's command: a processor for each node, and no device but a serial line."""
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-nodefaults", "-no-reboot",
               "-display", "none", "-serial", "stdio", "-smp", str(nodes),
               "-m", f"{nodes * NODE_BYTES >> 20}M", "-kernel", kernel, "-initrd", archive,
               "-append", f"{KERNEL_WORDS} LD_LIBRARY_PATH=/{LIBRARIES}"]
    for node in range(nodes):
        command += ["-object", f"memory-backend-ram,id=memory{node},size={NODE_BYTES}",
                    "-numa", f"node,nodeid={node},cpus={node},memdev=memory{node}"]
    return command


def boot(kernel, program, nodes):
    """What the machine printed until it turned itself off."""
    with tempfile.NamedTemporaryFile(suffix=".cpio") as archive:
        archive.write(archive_for(program))
        archive.flush()
        try:
            run = subprocess.run(machine(kernel, archive.name, nodes), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS,
                                 check=False)
            return run.stdout.decode(errors="replace")
        except subprocess.TimeoutExpired as late:
            text = (late.stdout or b"").decode(errors="replace")
            return text + f"\nBail out! the machine did not end in {SECONDS} s\n"


def tap_of(output):
    """The lines of the test, and whether all that it planned was well."""
    lines = [line.strip() for line in output.replace("\r", "\n").splitlines()]
    tap = [line for line in lines if re.match(r"(not )?ok |# |1\.\.|Bail out!", line)]
    plan = next((line for line in tap if line.startswith("1..")), None)
    passed = sum(line.startswith("ok ") for line in tap)
    if plan is None and not any(line.startswith("Bail out!") for line in tap):
        tap.append("Bail out! the machine ended before its test did")
    return tap, plan == f"1..{passed}" and passed > 0


def missing(kernel):
    if shutil.which("qemu-system-x86_64") is None:
        return "qemu-system-x86_64 is not installed (./dev setup numa)"
    if not pathlib.Path(kernel).is_file():
        return "there is no kernel for the machine (./dev setup numa)"
    return None


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description="Runs a test program in a machine with nodes.")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--kernel", default=str(root / "build/numa/vmlinuz"))
    parser.add_argument("--log", help="where all that the machine printed goes")
    parser.add_argument("program")
    args = parser.parse_args()
    print("TAP version 13", flush=True)
    reason = missing(args.kernel)
    if reason is not None:
        print(f"1..1\nok 1 - a machine with nodes # SKIP {reason}")
        return 0
    output = boot(args.kernel, args.program, args.nodes)
    if args.log is not None:
        pathlib.Path(args.log).write_text(output)
    tap, well = tap_of(output)
    print("\n".join(tap))
    if not well:
        sys.stderr.write(output)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
