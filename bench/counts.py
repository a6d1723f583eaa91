#!/usr/bin/env python3
"""Do the hot paths take the instructions that they took? Counted by callgrind, so that it is the
same on a busy machine, and compared with a file of numbers, each with 5 % to spare.

usage: counts.py [--update] BENCH-COUNTS COUNTS.TXT COMPILER

--update writes the numbers found. Fewer than in the file fail too: a gain is to be kept.
Status 1: a path differs. 77: skipped (no valgrind, or the numbers are of another compiler)."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

REPEATS, TOLERANCE, SKIPPED = 1000, 0.05, 77
HEADING = "# Instructions a call, counted by callgrind; ./dev bench counts --update writes this. "


def skip(why):
    print("counts: skipped:", why)
    sys.exit(SKIPPED)


def count(program):
    """{path: instructions of one call}"""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["valgrind", "--tool=callgrind", "-q", "--error-exitcode=9",
                               f"--callgrind-out-file={folder}/out", program],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"counts: {program} under valgrind: status {done.returncode}\n{done.stderr}")
        for file in pathlib.Path(folder).iterdir():
            text = file.read_text()
            name = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.M)
            total = re.search(r"^(?:summary|totals): (\d+)", text, re.M)
            if name and total:
                found[name[1]] = int(total[1]) / REPEATS
    return found


def read(path):
    """(compiler, {path: number})"""
    lines = path.read_text().splitlines()
    rows = (line.split() for line in lines if line and line[0] != "#")
    return lines[0].rpartition(". ")[2], {name: float(number) for name, number in rows}


def compare(found, wanted):
    bad = sorted(set(found) ^ set(wanted))
    for name in bad:
        print(f"{name}: {'only measured' if name in found else 'no longer measured'}")
    for name in sorted(set(found) & set(wanted)):
        change = found[name] / wanted[name] - 1
        if abs(change) > TOLERANCE:
            bad.append(name)
        print(f"{name:20} {found[name]:8.2f} was {wanted[name]:8.2f} {change:+7.1%}"
              + ("  MISSED" if name in bad else ""))
    return bad


def main(arguments):
    update = "--update" in arguments
    rest = [word for word in arguments if word != "--update"]
    if len(rest) != 3:
        sys.exit(__doc__)
    program, path, compiler = rest[0], pathlib.Path(rest[1]), rest[2]
    if shutil.which("valgrind") is None:
        skip("valgrind is not installed")
    if not update and read(path)[0] != compiler:
        skip(f"the numbers are of {read(path)[0]}, this is {compiler}")
    found = count(program)
    if update:
        rows = "".join(f"{name:20} {number:8.2f}\n" for name, number in sorted(found.items()))
        path.write_text(HEADING + compiler + "\n" + rows)
        print(rows, end="")
        return
    if compare(found, read(path)[1]):
        sys.exit("counts: a path takes more or fewer instructions than bench/counts.txt says; if "
                 "that is meant: ./dev bench counts --update")


if __name__ == "__main__":
    main(sys.argv[1:])
