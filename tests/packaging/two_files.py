#!/usr/bin/env python3
"""fief.h and fief.c compile alone, over each guard, without a warning, and a host runs on them; TAP.

usage: two_files.py ROOT
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

GUARDS = {"none": ("release", ["-O2"]),
          "poison": ("debug-poisoned", ["-O2", "-g", "-fno-optimize-sibling-calls"]),
          "asan": ("ASan-annotated", ["-O2", "-g", "-fno-optimize-sibling-calls"])}
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Werror"]


def run(command, folder):
    done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True,
                          check=False)
    return done.stdout if done.returncode == 0 else None, done.stdout + done.stderr


def trouble(root, compiler, guard, folder):
    """What is wrong, or None."""
    mode, flags = GUARDS[guard]
    (folder / "fief").mkdir(parents=True)
    shutil.copy(root / "tests/packaging/two-files/fief/fief.h", folder / "fief")
    link = ["-fsanitize=address"] if guard == "asan" else []
    for command in ([sys.executable, root / "tools/amalgamate.py", "--guard", guard, root, folder],
                    [compiler, *WARNINGS, *flags, "-c", "fief.c"],
                    [compiler, *WARNINGS, *link, "-I.", root / "tests/packaging/consumer/main.c",
                     "fief.o", "-o", "host"]):
        good, said = run(command, folder)
        if good is None:
            return said
    names, said = run(["nm", "-g", "--defined-only", "fief.o"], folder)
    inner = [line for line in (names or said).splitlines() if " fief_" not in line]
    printed, said = run([folder / "host"], folder)
    if inner or printed != f"{mode} pool clock 7\n":
        return f"names {inner}, printed {said}"
    return None


def main():
    root = pathlib.Path(sys.argv[1])
    pairs = [(compiler, guard) for compiler in ("gcc", "clang") for guard in GUARDS]
    print(f"TAP version 13\n1..{len(pairs)}")
    failed = 0
    for number, (compiler, guard) in enumerate(pairs, 1):
        name = f"{number} {guard}_compiles_alone_by_{compiler}"
        if shutil.which(compiler) is None:
            print(f"ok {name} # SKIP {compiler} is not installed", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            wrong = trouble(root, compiler, guard, pathlib.Path(folder) / "two")
        failed += wrong is not None
        print(f"ok {name}" if wrong is None else f"not ok {name}\n# " + wrong.replace("\n", "\n# "),
              flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
