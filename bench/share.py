#!/usr/bin/env python3
"""What part of a Lua program's instructions its allocator takes, counted by callgrind, so that it is the
same on a busy machine: Fief's, and malloc's. Who made it cost nothing would save that much, and what
better places for blocks save.

usage: share.py [--scale S] [--only NAME] [--json] FIEF-LUA PROGRAMS-DIRECTORY

The programs are run at SCALE (0.2) of their length, with Lua's generational collector. Status 77:
there is no valgrind."""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROW = re.compile(r"^\s*([\d,]+) \(.*?\)\s+\S+:(\S+) \[.*?([^/]+)\]$", re.M)
TOTAL = re.compile(r"^\s*([\d,]+) \(.*\)\s+PROGRAM TOTALS", re.M)
MALLOC = re.compile(r"_?_?(int_|libc_)?(malloc|free|realloc|calloc)(_\w+)?|unlink_chunk\S*|sysmalloc\S*|"
                    r"systrim\S*|alloc_perturb\S*|tcache_\w+")


def number(text):
    return int(text.replace(",", ""))


def is_allocator(allocator, function, where):
    """The hook that Lua calls is part of it."""
    if allocator == "fief":
        return where.startswith("libfief.so") or function == "fief_lua_alloc"
    in_libc = where.startswith("libc.so") and MALLOC.fullmatch(function) is not None
    return in_libc or function == "counted_alloc"


def share(host, program, allocator, scale):
    """The allocator's part of the instructions."""
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/out"
        done = subprocess.run(["valgrind", "--tool=callgrind", "-q", f"--callgrind-out-file={out}",
                               host, "--allocator", allocator, program, str(scale)],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"bench share: {program} under valgrind: status {done.returncode}\n{done.stderr}")
        text = subprocess.run(["callgrind_annotate", "--threshold=100", out], check=True,
                              capture_output=True, text=True).stdout
    rows = ROW.findall(text)
    own = sum(number(count) for count, function, where in rows
              if is_allocator(allocator, function, where))
    library = {"fief": "libfief.so", "libc": "libc.so"}[allocator]
    if not any(where.startswith(library) and is_allocator(allocator, function, where)
               for _, function, where in rows):
        sys.exit(f"bench share: callgrind saw nothing of {library} in {program}: is it static?")
    return own / number(TOTAL.search(text)[1])


def main():
    parser = argparse.ArgumentParser(prog="./dev bench share", description=__doc__.split("\n\n")[0])
    parser.add_argument("--scale", type=float, default=0.2)
    parser.add_argument("--only", metavar="NAME")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("host")
    parser.add_argument("programs", type=pathlib.Path)
    given = parser.parse_args()
    if shutil.which("valgrind") is None:
        print("bench share: skipped: no valgrind")
        return 77
    programs = [p for p in sorted(given.programs.glob("*.lua")) if given.only in (None, p.stem)]
    if not programs:
        sys.exit(f"bench share: no program '{given.only}' in {given.programs}")
    if not given.json:
        print(f"{'program':14} {'fief':>7} {'libc':>7}   of the instructions")
    for program in programs:
        fief, libc = (share(given.host, program, by, given.scale) for by in ("fief", "libc"))
        if given.json:
            print(json.dumps({"program": program.stem, "fief": fief, "libc": libc}), flush=True)
        else:
            print(f"{program.stem:14} {fief:7.1%} {libc:7.1%}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
