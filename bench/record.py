#!/usr/bin/env python3
"""How much slower a program is under `fief record`: CPU time of the recording, with all that fief
does around it, over that of the program alone, by turns; and what an operation takes in the trace.

usage: record.py [--rounds N] [--scale S] [--only NAME] [--json] FIEF PROGRAMS-DIRECTORY

The programs are those of examples/lua/programs, run by Debian's lua5.4, each at SCALE (0.5) of its
length. A slowdown is the median of the rounds' own; spread is from the least to the most. Exit
status 1 where a goal is missed, unless --json."""
import argparse
import json
import math
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

SLOWDOWN_GOAL, BYTES_GOAL = 3.0, 6.0


def run(command, folder):
    """(CPU seconds of the process and its children, what it said on stderr)."""
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=said)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        words = said.read().decode(errors="replace")
    if child.returncode != 0:
        sys.exit(f"bench record: {' '.join(command)}: status {child.returncode}\n{words}")
    return usage.ru_utime + usage.ru_stime, words


def measure(fief, program, given, folder):
    plain, recorded, words = [], [], ""
    command = [given.lua, str(program), str(given.scale)]
    for _ in range(given.rounds):
        plain.append(run(command, folder)[0])
        seconds, words = run([fief, "record", "-o", "x.trace", "--", *command], folder)
        recorded.append(seconds)
    operations = int(re.search(r": ([\d,]+) operations", words)[1].replace(",", ""))
    ratios = [slow / fast for slow, fast in zip(recorded, plain)]
    size = (pathlib.Path(folder) / "x.trace").stat().st_size
    return {"program": program.stem, "plain_ms": statistics.median(plain) * 1000,
            "slowdown": statistics.median(ratios), "least": min(ratios), "most": max(ratios),
            "operations": operations, "bytes_each": size / operations}


def line(r):
    return (f"{r['program']:14}{r['plain_ms']:>6.0f} ms{r['slowdown']:>8.2f}"
            f"   {r['least']:.2f} to {r['most']:.2f}{r['operations']:>13,}{r['bytes_each']:>8.2f}")


def goals(rows):
    """(words, is it met)"""
    slowest = max(rows, key=lambda r: r["slowdown"])
    largest = max(rows, key=lambda r: r["bytes_each"])
    mean = math.exp(sum(math.log(r["slowdown"]) for r in rows) / len(rows))
    print(f"geomean of {len(rows)}: {mean:.2f}")
    yield (f"slowest: {slowest['program']} {slowest['slowdown']:.2f} <= {SLOWDOWN_GOAL:.0f}",
           slowest["slowdown"] <= SLOWDOWN_GOAL)
    yield (f"bytes an operation, at most: {largest['bytes_each']:.2f} <= {BYTES_GOAL:.0f}",
           largest["bytes_each"] <= BYTES_GOAL)


class Parser(argparse.ArgumentParser):
    """What is wrong, in one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def read_words():
    parser = Parser(prog="bench record", usage=__doc__.split("usage: ")[1].splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=0.5)
    parser.add_argument("--only", action="append", metavar="NAME")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("fief", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    given = parser.parse_args()
    if given.rounds < 1 or not 0 < given.scale <= 100:
        parser.error("--rounds is at least 1, --scale above 0 and at most 100")
    given.programs = sorted(given.folder.resolve().glob("*.lua"))
    known = [program.stem for program in given.programs]
    for name in given.only or []:
        if name not in known:
            parser.error(f"unknown program '{name}': {', '.join(known)}")
    given.lua = shutil.which("lua5.4")
    if given.lua is None:
        sys.exit("bench record: lua5.4 is not installed: apt-get install lua5.4")
    return given


def main():
    given = read_words()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows = []
    if not given.json:
        print("program        alone  slowdown   of the rounds   operations   bytes")
    with tempfile.TemporaryDirectory() as folder:
        for program in given.programs:
            if not given.only or program.stem in given.only:
                rows.append(measure(str(given.fief.resolve()), program, given, folder))
                print(json.dumps(rows[-1]) if given.json else line(rows[-1]), flush=True)
    if given.json:
        return
    missed = 0
    for words, met in goals(rows):
        missed += not met
        print(f"{words} {'ok' if met else 'MISSED'}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
