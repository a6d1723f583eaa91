#!/usr/bin/env python3
"""What an allocator holds for what a program has, beside the bytes that it asked for.

usage: memory.py [--operations N] [--live BYTES] [--points N] [--only NAME] [--json] [--points-to FILE]
                 BUILD-DIRECTORY PROGRAMS-DIRECTORY

memory-server is a steady number of live bytes (50 MB) under requests of random sizes, 10^9 operations by
default: resident bytes at the end over those after a tenth of the run. memory-drift is the same while the
sizes drift from one mix to the next, eight times: the most resident bytes over live ones. memory-fall is
the share of a peak's resident bytes that is given back when the peak has fallen to a tenth and the
allocator has been asked to trim. memory-lua-* is what a runtime holds at its peak over what Lua asks for at its own, on
the programs that ask for 8 MiB and more. Exit status 1 where a goal is missed, unless --json."""
import argparse
import json
import os
import pathlib
import subprocess
import sys

# As in plan.c.
PEERS = {"mimalloc": "libmimalloc.so.2", "jemalloc": "libjemalloc.so.2",
         "tcmalloc": "libtcmalloc_minimal.so.4"}
BENCHES = ("memory-server", "memory-drift", "memory-fall", "memory-lua")
DRIFTS = {"memory-server": 0, "memory-drift": 8}
LUA_LEAST = 8 << 20
GROWTH, GIVEN_BACK, OVERHEAD = 1.10, 0.80, 1.15


def progress(words):
    if sys.stderr.isatty():
        print(f"\r\033[K{words}", end="", file=sys.stderr, flush=True)


def environment(preload):
    own = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    return own | ({"LD_PRELOAD": preload} if preload else {})


def lines_of(program, arguments, preload=None):
    """The points of one run, as they come."""
    process = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True,
                               env=environment(preload))
    for line in process.stdout:
        yield json.loads(line)
    if process.wait() != 0:
        sys.exit(f"bench memory: {program.name} {' '.join(arguments)}: status {process.returncode}")


def works(program, preload):
    """Does the loader find it? It says so on stderr, and goes on without."""
    done = subprocess.run([program, "malloc", "server", "1", "1", "1", "0"], env=environment(preload),
                          capture_output=True, text=True, check=False)
    return done.returncode == 0 and not done.stderr


def variants(program):
    """name, what bench-memory is told, what is preloaded"""
    yield "fief", "fief", None
    yield "libc", "malloc", None
    for name, library in PEERS.items():
        if works(program, library):
            yield name, "malloc", library


def serve(given, program, bench, variant, points):
    """The points of a run."""
    name, how, preload = variant
    own = []
    for point in lines_of(program, [how, "server", str(given.operations), str(given.live),
                                    str(given.points), str(DRIFTS[bench])], preload):
        own.append(point)
        points.append(dict(point, variant=name, scenario=bench))
        progress(f"{bench} {name}: {point['operations'] / given.operations:.0%}, "
                 f"{point['held'] >> 20} MiB for {point['live'] >> 20}")
    return own


def growth(points):
    return points[-1]["held"] / points[max(len(points) // 10, 1)]["held"]


def most(points):
    return max(point["held"] / point["live"] for point in points)


def fall(program, variant, points):
    name, how, preload = variant
    progress(f"memory-fall {name}")
    own = list(lines_of(program, [how, "fall"], preload))
    points.extend(dict(point, variant=name, scenario="memory-fall") for point in own)
    return 1 - own[-1]["held"] / own[0]["held"]


def lua_statistics(host, allocator, program):
    """fief-lua's statistics of one run: the last line of its stderr."""
    done = subprocess.run([host, "--allocator", allocator, "--json", program], capture_output=True,
                          text=True, check=False, env=environment(None))
    if done.returncode != 0:
        sys.exit(f"bench memory: {program.stem}: status {done.returncode}")
    return json.loads(done.stderr.splitlines()[-1])


def lua(given):
    """(program, held at the peak over asked for at the peak) of the large ones"""
    host = given.build / "examples/fief-lua"
    for program in sorted(given.programs.glob("*.lua")) if host.exists() else []:
        progress(f"memory-lua-{program.stem}")
        asked = lua_statistics(host, "libc", program)["peak_bytes"]
        if asked >= LUA_LEAST:
            yield program.stem, lua_statistics(host, "fief", program)["held_peak_bytes"] / asked


def measure(given, points):
    """(bench, variant, figure, unit)"""
    program = given.build / "bench/bench-memory"
    wanted = given.only or BENCHES
    for variant in variants(program):
        for bench, figure in (("memory-server", growth), ("memory-drift", most)):
            if bench in wanted:
                own = serve(given, program, bench, variant, points)
                yield bench, variant[0], figure(own), "x"
        if "memory-fall" in wanted:
            yield "memory-fall", variant[0], fall(program, variant, points), "share"
    if "memory-lua" in wanted:
        for name, ratio in lua(given):
            yield f"memory-lua-{name}", "fief", ratio, "x"


def verdict(bench, variant, figure):
    """In words, and is it met? Goals are Fief's alone."""
    if variant != "fief" or bench == "memory-drift":
        return "", True
    if bench == "memory-server":
        return f"< {GROWTH}", figure < GROWTH
    if bench == "memory-fall":
        return f">= {GIVEN_BACK}", figure >= GIVEN_BACK
    return f"<= {OVERHEAD}", figure <= OVERHEAD


def show(bench, variant, figure, unit, as_json):
    progress("")
    words, met = verdict(bench, variant, figure)
    if as_json:
        print(json.dumps({"bench": bench, "variant": variant, "median": figure, "unit": unit,
                          "spread": None, "instructions": None}), flush=True)
    else:
        print(f"{bench:22} {variant:9} {figure:7.3f} {unit:6} {words} "
              f"{('ok' if met else 'MISSED') if words else ''}".rstrip(), flush=True)
    return met


def positive(text):
    number = int(float(text))
    if number < 1:
        raise ValueError
    return number


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n\n")[0])
    parser.add_argument("--operations", type=positive, default=10**9)
    parser.add_argument("--live", type=positive, default=50_000_000)
    parser.add_argument("--points", type=positive, default=200)
    parser.add_argument("--only", action="append", metavar="NAME", choices=BENCHES)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--points-to", type=pathlib.Path, metavar="FILE",
                        help="each point as a line of JSON, for plot.py")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("programs", type=pathlib.Path)
    given = parser.parse_args()
    if given.points > given.operations:
        parser.error("--points is at most --operations")
    points = []
    missed = sum(not show(*row, given.json) for row in measure(given, points))
    if given.points_to:
        given.points_to.write_text("".join(json.dumps(point) + "\n" for point in points),
                                   encoding="ascii")
    sys.exit(1 if missed and not given.json else 0)


if __name__ == "__main__":
    main()
