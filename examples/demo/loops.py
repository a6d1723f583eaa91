"""Part 3: small loops, each strategy beside malloc, measured by bench-core."""
import itertools
import json
import re
import subprocess
import tempfile

from builds import Failed, must_find
from measure import NOISY, show_noise
from screen import DIM, INDENT

ROUNDS = 3
LOOPS = {
    "vm-arena": ("vm arena", "10,000 blocks from a VM's opening to its close"),
    "compiler-arena": ("compiler arena", "10,000 nodes of a syntax tree in one unit"),
    "stack-8": ("stack", "frames of eight calls within calls"),
    "pool-1000": ("pool", "one of 1,000 objects of 48 bytes replaced"),
    "heap-1000": ("heap", "one of 1,000 blocks of 16 to 512 bytes replaced"),
}
OUR_VARIANTS = ("fief", "libc", "ideal", "ideal-struct", "ideal-registers", "direct")


def rounds_of(given):
    return 1 if given.quick else ROUNDS


def bench_command(given):
    command = [must_find(given.release, "bench-core"), "--json", "--hasty", "--lua-host", "none",
               "--rounds", str(rounds_of(given))]
    command += [word for name in LOOPS for word in ("--only", name)]
    return command + ["--quick"] * given.quick


def run_bench(given, ret_notes):
    """Yields (bench, {variant: result}) as bench-core gets ready with each; then, what it says of
    the machine's quiet is in ret_notes."""
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(bench_command(given), stdout=subprocess.PIPE, stderr=errors,
                                 text=True)
        results = map(json.loads, child.stdout)
        for bench, group in itertools.groupby(results, lambda result: result["bench"]):
            yield bench, {result["variant"]: result for result in group}
        status = child.wait()
        errors.seek(0)
        text = errors.read()
        if status != 0:
            raise Failed(f"bench-core ended with status {status}: {text}")
        ret_notes += re.findall(r"others used .*? meanwhile", text)


def show_loop_heading(screen, peers):
    names = "".join(f"{peer:>9}" for peer in peers)
    screen.line(f"{INDENT}{'a block':<15}{'libc':>10} {'fief':>10} {'ratio':>7}{names}")


def show_loop_row(screen, name, found, peers):
    libc, fief = found["libc"]["median"], found["fief"]["median"]
    others = "".join(f"{fief / found[peer]['median']:9.2f}" for peer in peers)
    screen.line(f"{INDENT}{name:<15}{libc:7.2f} ns {fief:7.2f} ns {fief / libc:7.2f}{others}")


def show_loops(screen, given):
    screen.explain("""Small loops: what an allocation and its end cost, per block, in each
        strategy and with the malloc of your libc (and of mimalloc, jemalloc, tcmalloc, where they
        are installed, each by its best calls). The ratio is Fief's time over theirs: below 1.00
        Fief is faster. An arena wins most, since it frees nothing block by block.""")
    noisy, notes, peers = [], [], None
    screen.progress("measuring")
    for bench, found in run_bench(given, notes):
        if peers is None:
            peers = [name for name in found if name not in OUR_VARIANTS]
            show_loop_heading(screen, peers)
        name = LOOPS[bench][0]
        show_loop_row(screen, name, found, peers)
        worst = max(found[v]["spread"] or 0 for v in ("libc", "fief"))
        noisy += [f"{name} {worst * 100:.0f} %"] if worst > NOISY else []
        screen.progress("measuring")
    for name, about in LOOPS.values():
        screen.line(f"{INDENT}{name:<15}{about}", DIM)
    screen.note(f"medians, all in turn, rounds: {rounds_of(given)}"
                + ("; under another's name: fief over it" if peers else ""))
    show_noise(screen, noisy + notes)
