#!/usr/bin/env python3
"""packaging/deb.sh twice, in folders of different names: the same packages, byte by byte; TAP.

usage: debs.py ROOT"""
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tempfile

PACKAGES = {"fief", "fief-doc", "libfief-dev", "libfief0"}
# What says when and where a package was built is not in these.
KINDS = ("*.deb", "*.dsc", "*.tar.xz")
CONTENT = {"fief": ["/usr/bin/fief", "/libfief-record.so", "/man1/fief.1.gz",
                    "/man5/fief_trace.5.gz", "/completions/fief", "/vendor-completions/_fief"],
           "libfief-dev": ["/fief/fief.h", "/libfief.a", "/fief.pc", "/man3/fief_new.3.gz",
                           "/man7/fief_misuse.7.gz"],
           "libfief0": ["/libfief.so.0"]}


def missing(root):
    for tool in ("git", "dpkg-buildpackage", "dpkg-checkbuilddeps", "dh"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    if not (root / ".git").exists():
        return "no git repository: the sources of a package are what git knows"
    needs = subprocess.run(["dpkg-checkbuilddeps", root / "packaging/debian/control"], text=True,
                           capture_output=True, check=False)
    return " ".join(needs.stderr.split()) or None


def built(root, folder):
    """{file: digest}, or what was said instead."""
    done = subprocess.run([root / "packaging/deb.sh", folder], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        return None, done.stdout + done.stderr
    files = [file for kind in KINDS for file in folder.glob(kind)]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}, ""


def lacking(folder):
    for package, names in CONTENT.items():
        file = next(folder.glob(f"{package}_*.deb"))
        listed = subprocess.run(["dpkg-deb", "-c", file], capture_output=True, text=True,
                                check=True).stdout
        for name in names:
            if name not in listed:
                yield f"{package} has no {name}"


def report(number, name, wrong):
    print(f"{'not ok' if wrong else 'ok'} {number} - {name}", flush=True)
    if wrong:
        print("# " + str(wrong).replace("\n", "\n# "), flush=True)
    return bool(wrong)


def compare(root, folder):
    """The tests; how many failed."""
    one, said = built(root, folder / "one")
    lost = PACKAGES - {file.split("_")[0] for file in one or {}}
    if report(1, "the packages build, and lintian has no complaint", lost and f"{lost}\n{said}"):
        return 1
    failed = report(2, "they have what they should", list(lacking(folder / "one")))
    again, said = built(root, folder / "another/and-longer")
    again = again or {}
    differ = [file for file in sorted({*one, *again}) if one.get(file) != again.get(file)]
    return failed + report(3, "two builds give the same bytes", differ and f"{differ}\n{said}")


def main():
    root = pathlib.Path(sys.argv[1])
    print("TAP version 13\n1..3")
    why = missing(root)
    if why is not None:
        for number in (1, 2, 3):
            print(f"ok {number} # SKIP {why}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return 1 if compare(root, pathlib.Path(folder)) else 0


if __name__ == "__main__":
    sys.exit(main())
