#!/usr/bin/env python3
"""Each engine's programs on Fief and on libc, and a sweep of allocations that fail.

usage: engines.py BUILD-DIRECTORY POINTS

Speaks TAP. What must hold: the output is libc's; no misuse is reported; as many blocks are left as on
libc, and none where the engine gives back all; a failing allocation crashes nothing and leaks nothing
that it doesn't on libc. An engine that is not installed is skipped."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import engines  # noqa: E402

SCALE = 0.02
number = 0


def tell(name, complaints, skip=""):
    global number
    number += 1
    print(f"{'not ok' if complaints else 'ok'} {number} - {name}" + (f" # skip {skip}" if skip else ""))
    for complaint in complaints:
        print("# " + complaint.replace("\n", "\n# "), flush=True)


def check_program(build, engine, program):
    complaints = []
    fief = engines.run(build, engine, program, SCALE, "fief")
    libc = engines.run(build, engine, program, SCALE, "libc", "--count")
    counted = engines.run(build, engine, program, SCALE, "fief", "--count")
    if fief[0] != 0 or fief[2] != "":
        complaints.append(f"status {fief[0]}, says: {fief[2]}")
    if fief[1] != libc[1] or libc[0] != 0 or fief[1] == "":
        complaints.append(f"prints {fief[1]!r} and not {libc[1]!r}")
    left = [done[3]["blocks_left"] if done[3] else None for done in (counted, libc)]
    # CPython keeps blocks, and how many varies with the turns of its threads
    apart = 32 if engine == "cpython" else 0
    if None in left or abs(left[0] - left[1]) > apart or (engine != "cpython" and left[0] != 0):
        complaints.append(f"leaves {left[0]} blocks, on libc {left[1]}")
    return complaints


def check_failures(build, engine, most):
    """A point that ends badly is tried on libc: what happens there, too, is the engine's own doing."""
    rank = {"clean": 0, "leak": 1, "crash": 2}
    complaints, base = [], None
    try:
        sweep = engines.Sweep(build, engine, "fief")
        for point in sweep.points(most):
            outcome, left, status, misuse = sweep.at(point)
            if outcome != "clean":
                base = base or engines.Sweep(build, engine, "libc")
                known = base.at(point)
                if rank[outcome] > rank[known[0]]:
                    complaints.append(f"call {point} fails: {outcome}, {left} left, status {status}, "
                                      f"{misuse}; on libc {known}")
    except RuntimeError as error:
        complaints.append(str(error))
    return complaints


def check_bad_input(build, engine):
    complaints = []
    program = str(engines.ENGINES[engine][1][0])
    for arguments, word in ((("no-such-file",), "no-such-file"), ((program, "x"), "x"), ((), "PROGRAM"),
                            (("--fail-at", "0", program), "--fail-at"), (("--nope", program), "--nope")):
        done = engines.subprocess.run([engines.host(build, engine), *arguments], text=True, check=False,
                                      capture_output=True)
        is_told = word in done.stderr or engine in ("lua", "luajit", "cpython")
        if done.returncode != 1 or done.stderr.count("\n") != 1 or not is_told or done.stdout:
            complaints.append(f"{arguments}: status {done.returncode}, says {done.stderr!r}")
    return complaints


def main(build, points):
    print("TAP version 13")
    for engine, (package, programs, _, _) in engines.ENGINES.items():
        if not engines.is_built(build, engine):
            tell(engine, [], f"{package} is not installed")
            continue
        for program in programs:
            tell(f"{engine} {program.stem}: as on libc", check_program(build, engine, program))
        tell(f"{engine}: allocations fail", check_failures(build, engine, int(points)))
        tell(f"{engine}: bad input", check_bad_input(build, engine))
    print(f"1..{number}")


if __name__ == "__main__":
    main(*sys.argv[1:])
