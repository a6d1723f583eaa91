#!/usr/bin/env python3
"""Parses what print_json prints, and checks that it is one whole "fief-stats/1" object each."""
import json
import subprocess
import sys

STRATEGIES = ["vm arena", "compiler arena", "stack", "pool", "heap"]
NUMBERS = ["used_bytes", "peak_bytes", "resets", "fallbacks", "refused"]
COUNTS = ["blocks", "asked_bytes", "total_bytes"]


def check(label, stats):
    assert stats["schema"] == "fief-stats/1", stats["schema"]
    assert list(stats["strategies"]) == STRATEGIES, list(stats["strategies"])
    assert stats["units"] == 1
    assert stats["held_peak_bytes"] >= stats["held_bytes"] > 0
    for name, count in stats["strategies"].items():
        assert all(isinstance(count[field], int) for field in NUMBERS), (name, count)
    heap = stats["strategies"]["heap"]
    assert heap["refused"] == 1 and heap["used_bytes"] == 1008, heap
    counted = all(isinstance(heap[field], int) for field in COUNTS)
    assert counted or (label == "plain" and all(heap[field] is None for field in COUNTS)), heap
    if counted:
        assert heap["blocks"] == 1 and heap["asked_bytes"] == 1000, heap
        assert stats["kinds"]["(no kind)"]["blocks"] == 1


def check_odd_names(stats):
    assert stats["runtime"] == 'a "name" with \\ and \n', stats["runtime"]
    names = ['say "hello"', "back\\slash", "line\nbreak\ttab\x01", "", "größer", "(no kind)"]
    assert list(stats["kinds"]) == names, list(stats["kinds"])


def main(program):
    output = subprocess.run([program], stdout=subprocess.PIPE, check=True).stdout.decode("utf-8")
    lines = [line.split("\t", 1) for line in output.splitlines()]
    assert [label for label, _ in lines] == ["plain", "counted", "odd"], output
    for label, text in lines:
        check(label, json.loads(text))
    check_odd_names(json.loads(lines[2][1]))


if __name__ == "__main__":
    main(sys.argv[1])
