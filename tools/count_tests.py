#!/usr/bin/env python3
"""Counts the tests of one `meson test` run: prints "PASSED FAILED SKIPPED".

usage: count_tests.py MESON_LOGS_DIRECTORY VALGRIND_REPORTS_DIRECTORY

A meson test that speaks TAP (a Criterion program run with --tap=/dev/stdout) counts once for each
of its subtests; any other counts once, by its exit status. A program that fails although each
subtest passed (a crash at exit, a plan cut short) counts as one failure more.

Criterion takes no notice of what a subtest's process does after the subtest has passed, and that is
when leaks are found. So there are never fewer failures than reports: LeakSanitizer's in a test's
stderr, Valgrind's in the files of its directory, one a process.

What failed goes to stderr, with its output.
"""
import json
import pathlib
import re
import sys

PASSES = {"OK", "EXPECTEDFAIL"}
VALGRIND_ERRORS = re.compile(r"ERROR SUMMARY: [1-9]")
TAP_LINE = re.compile(
    r"(?P<verdict>ok|not ok)\b[^#]*(?:#\s*(?P<directive>skip|todo))?", re.IGNORECASE
)


def count_subtests(tap):
    """Returns (passed, failed, skipped). As in TAP itself, a failed TODO is not a failure."""
    passed = failed = skipped = 0
    for match in filter(None, map(TAP_LINE.match, tap.splitlines())):
        if match["directive"]:
            skipped += 1
        elif match["verdict"].lower() == "ok":
            passed += 1
        else:
            failed += 1
    return passed, failed, skipped


def count_test(test):
    """Returns (passed, failed, skipped) of one meson test."""
    result = test["result"]
    well = result in PASSES or result == "SKIP"
    output = test.get("stdout") or ""
    if output.startswith("TAP version"):
        passed, failed, skipped = count_subtests(output)
    else:
        passed, failed, skipped = int(result in PASSES), 0, int(result == "SKIP")
    least_failures = max(leak_reports(test), 0 if well else 1)
    return passed, max(failed, least_failures), skipped


def leak_reports(test):
    """Of a test that must fail, they are what it is for."""
    expected = test["result"] == "EXPECTEDFAIL"
    return 0 if expected else (test.get("stderr") or "").count("ERROR: LeakSanitizer: detected")


def valgrind_reports(directory):
    """Returns the reports of the processes in which Valgrind found an error."""
    logs = sorted(pathlib.Path(directory).glob("*.log"))
    reports = [log.read_text(encoding="utf-8", errors="replace") for log in logs]
    return [report for report in reports if VALGRIND_ERRORS.search(report)]


def show(test):
    status = test.get("returncode")
    print(f"--- {test['name']}: {test['result']} (status {status})", file=sys.stderr)
    for stream in ("stdout", "stderr"):
        print(test.get(stream) or "", file=sys.stderr)


def read_tests(directory):
    for log in sorted(pathlib.Path(directory).glob("testlog*.json")):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            yield json.loads(line)


def main(logs, reports):
    totals = [0, 0, 0]
    for test in read_tests(logs):
        counts = count_test(test)
        totals = [total + count for total, count in zip(totals, counts)]
        if counts[1]:
            show(test)
    found = valgrind_reports(reports)
    print(*found, sep="\n", file=sys.stderr)
    passed, failed, skipped = totals
    print(passed, max(failed, len(found)), skipped)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
