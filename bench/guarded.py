#!/usr/bin/env python3
"""What the guarded builds cost on the Lua programs: time, by the best of some rounds each in turn on
one core, and peak memory.

usage: guarded.py [--rounds N] [--json] BUILD-DIRECTORY PROGRAMS-DIRECTORY

The best and not the median: a guarded build lives in the caches that the machine's other work takes
away, which makes rounds slower and never faster. And each run finds memory that the machine has:
else the first of them to need more than the one before pays a virtual machine's host for it."""
import argparse
import json
import math
import mmap
import os
import pathlib
import resource
import subprocess
import sys

MIB = 1024.0
POPULATE_WRITE = 23  # MADV_POPULATE_WRITE, which Python does not name
# name, build, options of fief-lua
VARIANTS = (
    ("release", "release", ()),
    ("debug", "debug", ()),
    ("debug-64m", "debug", ("--quarantine", "64M")),
    ("debug-64m-8", "debug", ("--quarantine", "64M", "--depth", "8")),
    ("asan", "asan-host", ()),
    ("asan-malloc", "asan-host", ("--allocator", "libc")),
)
# subject, against, what, at most: the geometric mean, or of every program
TARGETS = (
    ("debug", "release", "mean", 1.6),
    ("debug-64m", "release", "mean", 2.0),
    ("debug-64m-8", "release", "mean", 2.5),
    ("asan", "asan-malloc", "mean", 0.9),
    ("asan", "asan-malloc", "worst", 1.3),
    ("debug", "release", "memory", 1.0),
)


def touch_memory():
    """As much as the largest run needs, and gives it back."""
    with mmap.mmap(-1, 512 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        try:
            memory.madvise(POPULATE_WRITE)
        except OSError:
            pass  # Linux before 5.14


def run(build, variant, program):
    """CPU seconds and peak KiB of one run."""
    touch_memory()
    _, mode, options = variant
    host = build / mode / "examples/fief-lua"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    read, write = os.pipe()
    environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
    done = subprocess.run([host, *options, "--peak", str(write), program], pass_fds=(write,),
                          stdout=subprocess.DEVNULL, env=environment, check=False)
    os.close(write)
    peak = os.read(read, 64)
    os.close(read)
    if done.returncode != 0:
        sys.exit(f"guarded: {host} ended with status {done.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, int(peak)


def measure(build, programs, rounds):
    best = {}
    for program in programs:
        for turn in range(rounds):
            for variant in VARIANTS:
                seconds, peak = run(build, variant, program)
                key = variant[0], program.stem
                old = best.get(key, (math.inf, 0))
                best[key] = min(old[0], seconds), max(old[1], peak)
            print(f"\r{program.stem} {turn + 1}/{rounds}   ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return best


def ratios(best, names, subject, against):
    return [best[subject, name][0] / best[against, name][0] for name in names]


def mean(numbers):
    return math.exp(sum(map(math.log, numbers)) / len(numbers))


def memory(best, names, subject, against):
    """The worst share of what is allowed: 2.2 times, and 24 MiB."""
    return max(best[subject, name][1] / (2.2 * best[against, name][1] + 24 * MIB) for name in names)


def judged(best, names):
    for subject, against, what, most in TARGETS:
        all_ratios = ratios(best, names, subject, against)
        value = {"mean": mean(all_ratios), "worst": max(all_ratios),
                 "memory": memory(best, names, subject, against)}[what]
        yield subject, against, what, value, most


def print_table(best, names):
    print(f"{'program':14}" + "".join(f"{v[0]:>13}" for v in VARIANTS) + "   CPU seconds")
    for name in names:
        print(f"{name:14}" + "".join(f"{best[v[0], name][0]:13.2f}" for v in VARIANTS))
    print(f"{'':14}" + "".join(f"{v[0]:>13}" for v in VARIANTS) + "   peak KiB")
    for name in names:
        print(f"{name:14}" + "".join(f"{best[v[0], name][1]:13,}" for v in VARIANTS))
    for subject, against, what, value, most in judged(best, names):
        label = "of 2.2 x + 24 MiB" if what == "memory" else f"{what} of the programs"
        verdict = "ok" if value <= most else "MISSED"
        print(f"{subject} / {against}, {label}: {value:.2f}   <= {most} {verdict}")


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("programs", type=pathlib.Path)
    given = parser.parse_args()
    programs = sorted(given.programs.glob("*.lua"))
    names = [program.stem for program in programs]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    best = measure(given.build, programs, given.rounds)
    if not given.json:
        print_table(best, names)
        return
    for (variant, name), (seconds, peak) in best.items():
        print(json.dumps({"bench": f"lua-{name}", "variant": variant, "best": round(seconds, 3),
                          "unit": "s", "peak_kib": peak}))


if __name__ == "__main__":
    main()
