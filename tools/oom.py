#!/usr/bin/env python3
"""What an engine does when one allocation fails: at up to N points, one at a time, on Fief and on libc.

usage: oom.py [ENGINE...] [--points N] [--json] [--mode MODE] --build DIRECTORY

A small program runs once for each point, and there the call returns NULL, once. It ends in a crash (a
signal, a hang, a misuse report), in a leak (more blocks are left at the end than without a failure),
or clean, whether the program noticed or not. What is the same on libc is the engine's own doing.
Exit status 1 where Fief crashes or leaks at a point where libc does neither."""
import argparse
import collections
import concurrent.futures
import json
import sys

import engines

ALLOCATORS = ("fief", "libc")


def sweep(build, engine, allocator, most):
    """(the sweep, {point: outcome})"""
    given = engines.Sweep(build, engine, allocator)
    points, found = given.points(most), {}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for point, outcome in zip(points, pool.map(given.at, points)):
            found[point] = outcome
            if sys.stderr.isatty():
                print(f"\r\033[K{engine} on {allocator} {len(found)}/{len(points)}", end="",
                      file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return given, found


def ranges(points):
    """1-3, 7: neighbours among the points that were tried."""
    return ", ".join(map(str, points))


def tell(engine, allocator, given, found):
    count = collections.Counter(outcome[0] for outcome in found.values())
    told = sum(outcome[0] == "clean" and outcome[2] == 0 for outcome in found.values())
    print(f"{engine:8} {allocator:5} {len(found)} points of {given.calls} calls "
          f"({given.program.name}): {count['clean']} clean ({told} of them unnoticed), "
          f"{count['leak']} leak, {count['crash']} crash")
    for kind in ("leak", "crash"):
        at = [point for point, outcome in found.items() if outcome[0] == kind]
        if at:
            print(f"  {kind} at {ranges(at)}")
    for line in sorted({outcome[3] for outcome in found.values() if outcome[3]})[:5]:
        print(f"  {line}")


def as_json(engine, allocator, given, found):
    print(json.dumps({
        "schema": "fief-oom/1", "engine": engine, "allocator": allocator, "calls": given.calls,
        "program": given.program.name, "points": [
            {"point": point, "outcome": outcome, "blocks_left": left, "status": status,
             "misuse": misuse} for point, (outcome, left, status, misuse) in found.items()]}))


def worse(found):
    """Points where Fief's run ends worse than libc's, as far as both were tried there."""
    rank = {"clean": 0, "leak": 1, "crash": 2}
    return [point for point, outcome in found["fief"].items() if point in found["libc"]
            and rank[outcome[0]] > rank[found["libc"][point][0]]]


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].splitlines()[0])
    parser.add_argument("engine", nargs="*", metavar="ENGINE")
    parser.add_argument("--points", type=int, default=400)
    parser.add_argument("--mode")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--build", required=True)
    given = parser.parse_args()
    unknown = [name for name in given.engine if name not in engines.ENGINES]
    if unknown or given.points < 1:
        sys.exit(f"oom: no engine '{unknown[0]}' (known: {' '.join(engines.ENGINES)})" if unknown
                 else "oom: --points is at least 1")
    bad = False
    for engine in given.engine or engines.ENGINES:
        if not engines.is_built(given.build, engine):
            print(f"{engine}: skipped, {engines.ENGINES[engine][0]} is not installed",
                  file=sys.stderr)
            bad = bad or engine in given.engine
            continue
        found = {}
        for allocator in ALLOCATORS:
            ran, found[allocator] = sweep(given.build, engine, allocator, given.points)
            (as_json if given.json else tell)(engine, allocator, ran, found[allocator])
            sys.stdout.flush()
        if worse(found):
            bad = True
            print(f"{engine}: worse than libc at {ranges(worse(found))}", file=sys.stderr)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
