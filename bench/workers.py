#!/usr/bin/env python3
"""Lox files compiled and sent on two threads, beside the same on one: examples/workers, by turns.

usage: workers.py [--rounds N] [--files N] [--pieces N] [--json] WORKERS

A time is that of a process's first thread's start to its last one's end: VMs are opened, files are
compiled, sent, and the VMs closed. Receiving and running them is not in it. The ratio is the
median of the rounds' own ratios: in one round both ran one after the other, in turns of order. It
needs two processors that nobody else uses. Whether the machine has them, two processes tell that
share nothing and do the work of one thread each, at once. Exit status 1 where the goal is missed,
unless --json."""
import argparse
import json
import os
import statistics
import subprocess
import sys

GOAL = 1.9


def start(given, threads):
    command = [given.program, "--json", "--threads", str(threads), "--files", str(given.files),
               "--pieces", str(given.pieces)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def figures_of(process):
    out, error = process.communicate()
    if process.returncode != 0:
        sys.exit(f"bench workers: status {process.returncode}: {error.strip()}")
    return json.loads(out)


def run_pair(given):
    """The milliseconds of the slower of two processes of one thread, at once."""
    pair = [start(given, 1), start(given, 1)]
    return max(figures_of(process)["compile_ms"] for process in pair)


def measure(given):
    """[(one thread's figures, two threads', the pair's milliseconds)] of each round."""
    rounds = []
    for turn in range(given.rounds):
        order = (2, 1) if turn % 2 else (1, 2)
        figures = {threads: figures_of(start(given, threads)) for threads in order}
        rounds.append((figures[1], figures[2], run_pair(given)))
        if sys.stderr.isatty():
            print(f"\r\033[K{turn + 1}/{given.rounds}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return rounds


def report(given, rounds):
    ratios = [one["compile_ms"] / two["compile_ms"] for one, two, _ in rounds]
    machine = statistics.median(2 * one["compile_ms"] / pair for one, _, pair in rounds)
    result = {"bench": "workers", "files": given.files, "rounds": given.rounds,
              "source_bytes": rounds[0][0]["source_bytes"], "sent_bytes": rounds[0][0]["bytes"],
              "one_ms": statistics.median(one["compile_ms"] for one, _, _ in rounds),
              "two_ms": statistics.median(two["compile_ms"] for _, two, _ in rounds),
              "ratio": statistics.median(ratios), "least": min(ratios), "most": max(ratios),
              "machine": machine, "goal": GOAL}
    if given.json:
        print(json.dumps(result))
        return 0
    print(f"{given.files} files of {result['source_bytes'] / given.files / 1024:.0f} KiB,"
          f" {result['sent_bytes'] / 2 ** 20:.1f} MiB sent, {given.rounds} rounds")
    print(f"  1 thread   {result['one_ms']:8.1f} ms")
    print(f"  2 threads  {result['two_ms']:8.1f} ms   {result['ratio']:.2f} x"
          f" ({result['least']:.2f} to {result['most']:.2f}); the goal is {GOAL}")
    print(f"  2 processes at once     {machine:.2f} x: what the machine gives to two that share nothing")
    return 0 if result["ratio"] >= GOAL else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0], prog="bench workers")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--pieces", type=int, default=160)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("program")
    given = parser.parse_args()
    if min(given.rounds, given.files, given.pieces) < 1:
        parser.error("numbers begin at 1")
    if len(os.sched_getaffinity(0)) < 2:
        print("bench workers: one processor alone can't show it", file=sys.stderr)
    sys.exit(report(given, measure(given)))


main()
