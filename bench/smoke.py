#!/usr/bin/env python3
"""smoke.py BENCH_CORE BENCH_LOX BENCH_MEMORY WORKERS LUA-PROGRAMS [FIEF]: do the benchmarks run, and do they say what they promise?

No figure is looked at: a slow or busy machine must not turn a pass into a failure.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

KEYS = ["bench", "variant", "median", "unit", "spread", "instructions"]


def run(program, *arguments):
    return subprocess.run([program, *arguments], capture_output=True, text=True)


def must(condition, message):
    if not condition:
        sys.exit("bench-smoke: " + message)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_line(line):
    """One result: exactly the keys, and numbers where there must be numbers."""
    result = json.loads(line)
    must(list(result) == KEYS, f"the keys are {list(result)}, not {KEYS}")
    must(is_number(result["median"]) and result["median"] > 0, f"no median in {line}")
    for key in ("spread", "instructions"):
        must(result[key] is None or is_number(result[key]), f"{key} is no number in {line}")
    return result["bench"], result["variant"]


def check_json(program):
    """Two rounds of one bench of each kind, in JSON."""
    wanted = ["arena-24", "heap-1000", "fief-new", "open-close"]
    only = [word for name in wanted for word in ("--only", name)]
    done = run(program, "--quick", "--json", "--rounds", "2", *only)
    must(done.returncode == 0, f"status {done.returncode}\n{done.stderr}")
    seen = {check_line(line) for line in done.stdout.splitlines()}
    for name in wanted:
        must((name, "fief") in seen, f"no result of {name}")
    for pair in (("arena-24", "ideal"), ("arena-24", "libc"), ("heap-1000", "libc")):
        must(pair in seen, f"no result of {pair[0]} with {pair[1]}")


def check_table(program):
    done = run(program, "--quick", "--hasty", "--rounds", "1", "--only", "arena-24")
    must(done.returncode == 0, f"the table: status {done.returncode}\n{done.stderr}")
    must(re.search(r"^  libc .* libc / fief +\S+ .*>= 5 (ok|MISSED)$", done.stdout, re.M),
         f"the table has no libc row with its target:\n{done.stdout}")


def check_usage(program):
    for bad in (["--unknown"], ["--rounds", "0"], ["--rounds", "x"], ["--only", "nothing"],
                ["--only"], ["stray"], ["--debug-lib", "/nowhere"]):
        done = run(program, *bad)
        must(done.returncode == 2, f"{bad}: status {done.returncode}, not 2")
        must(done.stdout == "", f"{bad}: something on stdout")
        must(re.fullmatch(r"bench-core: .+\n", done.stderr), f"{bad}: not one line: {done.stderr}")
    done = run(program, "--help")
    must(done.returncode == 0 and done.stdout.startswith("usage:"), "--help does not help")


def check_lox(program):
    """The least of ./dev bench lox: one start in each way, as JSON and as a table."""
    here = pathlib.Path(__file__).parent
    words = [sys.executable, here / "lox.py", "--rounds", "1", "--only", "lox-start", program,
             here / "lox"]
    done = run(*words, "--json")
    must(done.returncode == 0, f"bench lox: status {done.returncode}\n{done.stderr}")
    seen = {check_line(line) for line in done.stdout.splitlines()}
    must(seen == {("lox-start", "arenas"), ("lox-start", "all-heap")}, f"bench lox has {seen}")
    done = run(*words)
    must(re.search(r"^lox-start +all-heap / arenas \S+ >= 1.3 (ok|MISSED)$", done.stdout, re.M),
         f"the table of bench lox has no goal:\n{done.stdout}{done.stderr}")


def check_record(fief, programs):
    """./dev bench record: one program at a tenth, as JSON and as a table."""
    words = [sys.executable, pathlib.Path(__file__).parent / "record.py", "--rounds", "1", "--only",
             "tables", "--scale", "0.1", fief, programs]
    if shutil.which("lua5.4") is None:
        return
    done = run(*words, "--json")
    must(done.returncode == 0, f"bench record: status {done.returncode}\n{done.stderr}")
    row = json.loads(done.stdout)
    must(row["program"] == "tables" and row["slowdown"] > 0 and row["operations"] > 100000,
         f"bench record has {row}")
    done = run(*words)
    must(re.search(r"^slowest: tables \S+ <= 3 (ok|MISSED)$", done.stdout, re.M),
         f"the table of bench record has no goal:\n{done.stdout}{done.stderr}")
    done = run(*words[:2], "--only", "nothing", *words[-2:])
    must(done.returncode == 2 and re.fullmatch("bench record: .+\n", done.stderr),
         f"bench record: an unknown name: {done.returncode} {done.stderr}")


def check_memory(program, programs):
    """./dev bench memory: a short server and a fall, as JSON and as a table; its points."""
    build = pathlib.Path(program).parent.parent
    words = [sys.executable, pathlib.Path(__file__).parent / "memory.py", "--operations", "1e5",
             "--live", "1e6", "--points", "10", "--only", "memory-server", "--only", "memory-drift"]
    with tempfile.NamedTemporaryFile() as points:
        done = run(*words, "--json", "--points-to", points.name, build, programs)
        lines = [json.loads(line) for line in points.read().splitlines()]
    must(done.returncode == 0, f"bench memory: status {done.returncode}\n{done.stderr}")
    seen = {check_line(line) for line in done.stdout.splitlines()}
    for pair in (("memory-server", "fief"), ("memory-drift", "fief"), ("memory-drift", "libc")):
        must(pair in seen, f"bench memory has no {pair}")
    own = [p for p in lines if p["scenario"] == "memory-server" and p["variant"] == "fief"]
    must(len(own) >= 10 and all(9e5 < p["live"] < 1.1e6 for p in own),
         f"bench memory: what is alive is not steady: {own}")
    must(all(p["held"] > 8e5 for p in own), f"bench memory: less is held than is alive: {own}")
    done = run(program, "fief", "fall")
    full, fallen, trimmed = map(json.loads, done.stdout.splitlines())
    must(full["live"] > 9 * fallen["live"] and fallen["held"] >= trimmed["held"] > 8e6,
         f"bench memory: no fall: {done.stdout}")
    for bad in ([], ["fief"], ["fief", "server", "1", "1", "2", "0"], ["libc", "fall"]):
        done = run(program, *bad)
        must(done.returncode == 2 and done.stderr.startswith("usage: "), f"bench memory {bad}")


def check_workers(program):
    """One round of ./dev bench workers, as JSON and as a table."""
    words = [sys.executable, pathlib.Path(__file__).parent / "workers.py", "--rounds", "1",
             "--files", "4", "--pieces", "20", program]
    done = run(*words, "--json")
    must(done.returncode == 0, f"bench workers: status {done.returncode}\n{done.stderr}")
    seen = json.loads(done.stdout)
    must(seen["files"] == 4 and seen["sent_bytes"] > 4 * 20 * 100 and seen["ratio"] > 0,
         f"bench workers has {seen}")
    done = run(*words)
    must(re.search(r"^  2 threads +[\d.]+ ms +[\d.]+ x .*; the goal is 1.9$", done.stdout, re.M),
         f"the table of bench workers has no goal:\n{done.stdout}{done.stderr}")


def main(program, lox, memory, workers, programs, *recorder):
    check_json(program)
    check_table(program)
    check_usage(program)
    check_lox(lox)
    check_workers(workers)
    check_memory(memory, programs)
    if recorder:
        check_record(*recorder, programs)


if __name__ == "__main__":
    main(*sys.argv[1:])
