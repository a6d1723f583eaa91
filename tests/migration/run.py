#!/usr/bin/env python3
"""Runs each program in each state of examples/migration: all print what its comments say. TAP.

usage: run.py PROGRAMS MINI...

    (print 1)   ; 1              a line, on stdout or, where it begins with "mini:", on stderr

A program with a line of the second sort ends in status 1, others in 0. Any other line on stderr
fails the test: so does a report of Fief's, of leaks too, or a sanitizer's."""
import pathlib
import re
import subprocess
import sys

EXPECT = re.compile(r"\S.*; ?(.*)")  # behind a form; a line that is all comment expects nothing


def expectations(path):
    """Returns (stdout lines, stderr lines)."""
    said = [match[1] for line in path.read_text(encoding="utf-8").splitlines()
            if (match := EXPECT.match(line)) and not line.startswith(";")]
    errors = [line for line in said if line.startswith("mini:")]
    return [line for line in said if line not in errors], errors


def problem(mini, path):
    """What is wrong, or None."""
    out, errors = expectations(path)
    done = subprocess.run([mini, path], capture_output=True, text=True, check=False)
    got = (done.stdout.splitlines(), done.stderr.splitlines(), done.returncode)
    wanted = (out, errors, 1 if errors else 0)
    return None if got == wanted else f"{got}, not {wanted}"


def main():
    programs = sorted(pathlib.Path(sys.argv[1]).glob("*.mini"))
    cases = [(mini, path) for mini in sys.argv[2:] for path in programs]
    failed = len(cases) == 0
    print(f"1..{len(cases)}", flush=True)
    for number, (mini, path) in enumerate(cases, 1):
        what = problem(mini, path)
        failed |= what is not None
        name = f"{pathlib.Path(mini).name} {path.stem}"
        print(f"{'not ok' if what else 'ok'} {number} {name}", flush=True)
        if what:
            print(f"# {what}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
