#!/usr/bin/env python3
"""The engines' programs on Fief beside libc (and beside the engine's own allocator, where it has one):
CPU time and peak memory, by turns on one core.

usage: engines.py [--rounds N] [--only ENGINE] [--json] [--markdown] BUILD-DIRECTORY

A ratio is the median of the rounds' own ratios: in one round both ran one after the other, so that a
slow minute hits both. Spread is half of the interquartile range. A program is slower than libc where
its ratio is above 1 by more than its spread and 2 %. Exit status 1 where a goal is missed, unless
--json."""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tools"))
import engines  # noqa: E402

TIME_GOAL, PEAK_GOAL, NOISE = 0.9, 1.05, 0.02


def run(build, engine, program, allocator):
    """(CPU seconds, peak KiB) of one process."""
    read, write = os.pipe()
    command = [engines.host(build, engine), "--allocator", allocator, "--peak", str(write), program]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, pass_fds=(write,))
    os.close(write)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    with os.fdopen(read) as pipe:
        peak = pipe.read()
    if child.returncode != 0:
        sys.exit(f"bench engines: {engine} {program.name} on {allocator}: status {child.returncode}")
    return usage.ru_utime + usage.ru_stime, int(peak)


def spread(values):
    if len(values) < 3:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4)
    return (high - low) / 2


def measure(build, engine, program, rounds):
    """{allocator: ([seconds], [KiB])}"""
    allocators = ["libc", "fief"] + (["own"] if engines.ENGINES[engine][2] else [])
    found = {allocator: ([], []) for allocator in allocators}
    for turn in range(rounds):
        for allocator in allocators[::-1] if turn % 2 else allocators:
            seconds, peak = run(build, engine, program, allocator)
            found[allocator][0].append(seconds)
            found[allocator][1].append(peak)
    return found


def ratios(found, what, against="libc"):
    return [a / b for a, b in zip(found["fief"][what], found[against][what])]


def row(engine, program, found):
    time, peak = ratios(found, 0), ratios(found, 1)
    own = [statistics.median(ratios(found, what, "own")) for what in (0, 1)] if "own" in found else None
    return {"engine": engine, "program": program.stem,
            "libc_ms": statistics.median(found["libc"][0]) * 1000,
            "time": statistics.median(time), "spread": spread(time),
            "libc_kib": statistics.median(found["libc"][1]), "peak": statistics.median(peak),
            "time_over_own": own and own[0], "peak_over_own": own and own[1]}


def mean(numbers):
    return math.exp(sum(map(math.log, numbers)) / len(numbers))


def line(r, markdown):
    own = f"{r['time_over_own']:.2f}, {r['peak_over_own']:.2f}" if r["time_over_own"] else "-"
    cells = [r["engine"], r["program"], f"{r['libc_ms']:.0f} ms", f"{r['time']:.2f} +-{r['spread']:.2f}",
             f"{r['libc_kib']:,.0f} KiB", f"{r['peak']:.2f}", own]
    if markdown:
        return "| " + " | ".join(cells) + " |"
    return "{:9}{:14}{:>9}{:>14}{:>13}{:>8}{:>13}".format(*cells)


def goals(rows):
    """(words, is it met)"""
    time, peak = mean([r["time"] for r in rows]), mean([r["peak"] for r in rows])
    slower = [f"{r['engine']} {r['program']}" for r in rows
              if r["time"] > 1 + r["spread"] + NOISE]
    yield f"time, geomean of {len(rows)} programs: {time:.2f} <= {TIME_GOAL}", time <= TIME_GOAL
    yield f"peak memory, geomean: {peak:.2f} <= {PEAK_GOAL}", peak <= PEAK_GOAL
    yield f"slower than libc: {', '.join(slower) or 'none'}", not slower


def by_engine(rows):
    for engine in dict.fromkeys(r["engine"] for r in rows):
        own = [r for r in rows if r["engine"] == engine]
        print(f"{engine}: time {mean([r['time'] for r in own]):.2f}, "
              f"peak {mean([r['peak'] for r in own]):.2f}")


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", action="append", choices=engines.ENGINES)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("build")
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds is at least 1")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows = []
    if not given.json:
        head = dict(zip(("engine", "program"), ("engine", "program")))
        print("| engine | program | libc | time | libc's peak | peak | over the engine's own |\n"
              "|---|---|---|---|---|---|---|" if given.markdown else
              "{engine:9}{program:14}     libc          time  libc's peak    peak     over own"
              .format(**head))
    for engine in given.only or engines.ENGINES:
        if not engines.is_built(given.build, engine):
            print(f"bench engines: {engine} is left out, {engines.ENGINES[engine][0]} is not installed",
                  file=sys.stderr)
            continue
        for program in engines.ENGINES[engine][1]:
            rows.append(row(engine, program, measure(given.build, engine, program, given.rounds)))
            print(json.dumps(rows[-1]) if given.json else line(rows[-1], given.markdown), flush=True)
    if given.json:
        return
    if not rows:
        sys.exit("bench engines: no engine is installed")
    by_engine(rows)
    missed = 0
    for words, met in goals(rows):
        missed += not met
        print(f"{words} {'ok' if met else 'MISSED'}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
