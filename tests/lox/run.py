#!/usr/bin/env python3
"""Runs Lox programs and compares what they do with what their comments expect. Speaks TAP.

usage: run.py LOX DIRECTORY [OPTION...]      each OPTION is handed to lox

    // expect: TEXT                 a line on stdout
    // expect runtime error: TEXT   the message, from this line; status 70
    // expect trace: TEXT           a further line of its trace
    // Error at 'x': TEXT           a compile error in this line; status 65
    // [line 3] Error at end: TEXT  a compile error in another line

Whatever else is on stderr fails the test: so does every report of Fief's or of a sanitizer's.
Exit status 77 (skipped) without LOX.
"""
import pathlib
import re
import subprocess
import sys

EXPECT = re.compile(r"// expect: ?(.*)")
RUNTIME_ERROR = re.compile(r"// expect runtime error: (.+)")
TRACE = re.compile(r"// expect trace: (.+)")
ERROR = re.compile(r"// (Error.*)")
LINE_ERROR = re.compile(r"// (?:\[((?:java|c) )?line (\d+)\] )(Error.*)")


def expectations(text):
    """Returns (stdout lines, stderr lines, status)."""
    out, errors, runtime, trace = [], [], [], []
    for number, line in enumerate(text.split("\n"), 1):
        if match := EXPECT.search(line):
            out.append(match[1])
        elif match := RUNTIME_ERROR.search(line):
            runtime = [match[1], number]
        elif match := TRACE.search(line):
            trace.append(match[1])
        elif match := LINE_ERROR.search(line):
            if match[1] != "java ":
                errors.append(f"[line {match[2]}] {match[3]}")
        elif match := ERROR.search(line):
            errors.append(f"[line {number}] {match[1]}")
    if errors:
        return out, errors, 65
    if runtime:
        return out, runtime + trace, 70
    return out, [], 0


def errors_match(expected, status, got):
    if status != 70:
        return got == expected
    message, line, *trace = expected
    first = re.fullmatch(r"\[line (\d+)\] in .*", got[1]) if len(got) > 1 else None
    return (first is not None and got[0] == message and int(first[1]) == line
            and got[2:2 + len(trace)] == trace
            and all(re.fullmatch(r"\[line \d+\] in .*", line) for line in got[1:]))


def lines(raw):
    text = raw.decode("utf-8", "replace")
    return text.split("\n")[:-1] if text.endswith("\n") else text.split("\n") if text else []


def problem(lox, options, path):
    """What is wrong, or None."""
    # newline="\n": a carriage return in a program is the program's own
    with open(path, encoding="utf-8", newline="\n") as file:
        out, errors, status = expectations(file.read())
    result = subprocess.run([lox, *options, path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            stdin=subprocess.DEVNULL, check=False)
    got_out, got_errors = lines(result.stdout), lines(result.stderr)
    if result.returncode != status:
        return f"status {result.returncode}, not {status}: {got_errors[:8]}"
    if got_out != out:
        return f"stdout {got_out}, not {out}"
    if not errors_match(errors, status, got_errors):
        return f"stderr {got_errors[:8]}, not {errors}"
    return None


def main():
    lox, directory, *options = sys.argv[1:]
    if not pathlib.Path(lox).exists():
        sys.exit(77)
    root = pathlib.Path(directory)
    programs = sorted(root.rglob("*.lox"))
    print(f"1..{len(programs)}", flush=True)
    failed = len(programs) == 0
    for number, path in enumerate(programs, 1):
        what = problem(lox, options, path)
        failed |= what is not None
        print(f"{'not ok' if what else 'ok'} {number} {path.relative_to(root)}", flush=True)
        if what:
            print(f"# {what}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
