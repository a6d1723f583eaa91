"""./dev demo: what Fief does, shown and measured on this machine.

Every figure is of this run. The long parts stop by the clock: as many rounds as fit, 3 at least.
"""
import argparse
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

import measure
from measure import Failed
from screen import CYAN, DIM, INDENT, WIDTH, Quit, Screen

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES, ROOT = HERE.parent, HERE.parent.parent
LOX_SECONDS, LUA_SECONDS, OTHER_SECONDS = 9, 8, 20  # OTHER: about, on two quiet cores
MICRO_ROUNDS = 3
BAD_USAGE, CANNOT_RUN = 2, 4


def find(build, name):
    """The executable, wherever meson put it below the build directory."""
    for folder in ("examples", "examples/lox", "examples/demo", "bench"):
        path = os.path.join(build, folder, name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None


def must_find(build, name):
    path = find(build, name)
    if path is None:
        raise Failed(f"no {name} in {build}: build it first (./dev build)")
    return path


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.split("\n", 1)[0]
    except (OSError, subprocess.CalledProcessError):
        return None


# ---- 1: build ----

def show_build(screen, given):
    screen.explain("""One source, three builds. Release is what you ship: no checks on the fast
        paths. Debug-poisoned is what you test with: the same calls, and each mistake that this
        library can know of is reported with the places where the block was made and died. Your
        program need not be compiled again: the headers have no mode in them.""")
    if given.built:
        screen.note("built before: " + ", ".join(given.built))
        return
    before = screen.seconds()
    for mode in ("release", "debug"):
        status = subprocess.run([ROOT / "dev", "build", mode, "demo"], check=False).returncode
        if status != 0:
            raise Failed(f"the {mode} build failed")
    screen.note(f"{screen.seconds() - before:.1f} s")


# ---- 2: the strategies, by example ----

ABOUT = {
    "define_native": ("vm arena", "What lives as long as the VM: native functions, names, "
                      "constants. Nobody frees it; the close does."),
    "compile": ("compiler arena", "What one compilation needs: tokens, the tree, scopes. "
                "The end of the unit takes all of it back at once."),
    "power": ("stack", "What a call needs: newest first out, checked at each pop."),
    "sweep": ("pool", "Objects of one size that a collector frees one by one."),
    "append": ("heap", "The rest: sizes that vary, blocks that grow."),
}


def source_of(name):
    """The function of that name, with the comment above it."""
    text = (EXAMPLES / "strategies.c").read_text(encoding="utf-8")
    start = re.search(rf"^/\* .*\n(?=static \w+ \**{name}\()", text, re.M).start()
    return text[start:text.index("\n}\n", start) + 2]


def show_examples(screen, given):
    screen.explain("""An interpreter knows more about its objects than malloc can: which of them
        die together. So each kind gets a home, in a table that fief_open is given, and fief_new
        looks it up. These are the five homes, from examples/strategies.c.""")
    program = must_find(given.release, "strategies")
    for name, (strategy, about) in ABOUT.items():
        screen.line()
        screen.line(INDENT + strategy, CYAN)
        screen.explain(about)
        for line in source_of(name).split("\n"):
            screen.line(INDENT + line, DIM)
        done = subprocess.run([program, name], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(f"strategies {name} ended with status {done.returncode}: {done.stderr}")
        screen.line(INDENT + "-> " + done.stdout.rstrip())


# ---- 3: each beside malloc ----

MICRO = {
    "vm-arena": ("vm arena", "10,000 blocks from a VM's opening to its close"),
    "compiler-arena": ("compiler arena", "10,000 nodes of a syntax tree in one unit"),
    "stack-8": ("stack", "frames of eight calls within calls"),
    "pool-1000": ("pool", "one of 1,000 objects of 48 bytes replaced"),
    "heap-1000": ("heap", "one of 1,000 blocks of 16 to 512 bytes replaced"),
}
OUR_VARIANTS = ("fief", "libc", "ideal", "ideal-struct", "ideal-registers", "direct")


def bench_command(given):
    command = [must_find(given.release, "bench-core"), "--json", "--hasty", "--lua-host", "none",
               "--rounds", "1" if given.quick else str(MICRO_ROUNDS)]
    command += [word for name in MICRO for word in ("--only", name)]
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


def show_micro_heading(screen, peers):
    names = "".join(f"{peer:>9}" for peer in peers)
    screen.line(f"{INDENT}{'a block':<15}{'libc':>10} {'fief':>10} {'ratio':>7}{names}")


def show_micro_row(screen, name, found, peers):
    libc, fief = found["libc"]["median"], found["fief"]["median"]
    others = "".join(f"{fief / found[peer]['median']:9.2f}" for peer in peers)
    screen.line(f"{INDENT}{name:<15}{libc:7.2f} ns {fief:7.2f} ns {fief / libc:7.2f}{others}")


def show_micro(screen, given):
    screen.explain("""Small loops: what an allocation and its end cost, per block, in each
        strategy and with the malloc of your libc (and of mimalloc, jemalloc, tcmalloc, where they
        are installed, each by its best calls). The ratio is Fief's time over theirs: below 1.00
        Fief is faster. An arena wins most, since it frees nothing block by block.""")
    noisy, notes, peers = [], [], None
    screen.progress("measuring")
    for bench, found in run_bench(given, notes):
        if peers is None:
            peers = [name for name in found if name not in OUR_VARIANTS]
            show_micro_heading(screen, peers)
        name = MICRO[bench][0]
        show_micro_row(screen, name, found, peers)
        worst = max(found[v]["spread"] or 0 for v in ("libc", "fief"))
        noisy += [f"{name} {worst * 100:.0f} %"] if worst > measure.NOISY else []
        screen.progress("measuring")
    for name, about in MICRO.values():
        screen.line(f"{INDENT}{name:<15}{about}", DIM)
    if peers:
        screen.note(f"medians of {MICRO_ROUNDS} rounds; {', '.join(peers)}: fief over each")
    else:
        screen.note(f"medians of {MICRO_ROUNDS} rounds; libc and fief in turn")
    show_noise(screen, noisy + notes)


# ---- 4 and 5: whole programs ----

def show_noise(screen, noisy):
    if noisy:
        screen.note(f"noisy: {', '.join(noisy)} (above {measure.NOISY * 100:.0f} %: run it again "
                    "on a quiet machine)")


def kib(values):
    return "-" if None in values else f"{round(measure.statistics.median(values)):,}"


def show_pair(screen, pair):
    spread = f"{measure.half_spread(pair.ratios()):.2f}".lstrip("0")
    libc, fief = (measure.statistics.median(times) * 1000 for times in pair.times)
    screen.line(f"{INDENT}{pair.name:<13}{libc:6.0f} ms {fief:6.0f} ms   {pair.ratio():5.2f} "
                f"+-{spread}{len(pair.times[0]):4}  {kib(pair.peaks[0]):>8} -> "
                f"{kib(pair.peaks[1]):>8}")


def compare(screen, given, programs, seconds):
    """A row for each program, {name: (command with libc, command with fief)}."""
    place = measure.pin()
    screen.line(f"{INDENT}{'program':<13}{'libc':>9} {'fief':>9}   {'ratio':>5}"
                f"{'rounds':>10}  {'libc KiB':>8} -> {'fief KiB':>8}")
    each = 0 if given.quick else seconds / len(programs)
    pairs = []
    for name, commands in programs.items():
        screen.progress(name)
        pairs.append(measure.measure(name, commands, each))
        show_pair(screen, pairs[-1])
    total = measure.geomean([pair.ratio() for pair in pairs])
    screen.line(f"{INDENT}{'geomean':<13}{'':22}{total:5.2f}   (1.00 = libc, less is faster)")
    screen.note(f"medians, libc and fief in turn; CPU time, {place}; peak resident memory")
    show_noise(screen, [f"{pair.name} {pair.noise() * 100:.0f} %" for pair in pairs
                        if pair.noise() > measure.NOISY])


LOX_FUNCTION = """
fun shape{n}(width, height) {{
  var area = width * height;
  if (area > {n}) {{ print "large"; area = area - {n}; }}
  while (area > 1000000) {{ area = area / 2; }}
  return area + (width - height) * {n} / (1 + height);
}}
class Thing{n} {{ init(name) {{ this.name = name; }} title() {{ return "thing " + this.name; }} }}
"""


def generated_source(kib_wanted):
    text, n = [], 0
    while sum(map(len, text[-1:])) * n < kib_wanted * 1024:
        text.append(LOX_FUNCTION.format(n=n))
        n += 1
    return "".join(text)


def lox_programs(lox, directory, quick):
    source = os.path.join(directory, "generated.lox")
    with open(source, "w", encoding="utf-8") as file:
        file.write(generated_source(8 if quick else 1024))
    starts = "10" if quick else "4000"
    programs = {"start": ["--repeat", starts, "-e", ""], "compile": [source]}
    for name in ("trees", "objects", "closures", "strings", "calls"):
        programs[name] = [str(EXAMPLES / "lox/programs" / (name + ".lox"))]
    return {name: ([lox, "--strategy", "all-heap", *rest], [lox, *rest])
            for name, rest in programs.items()}


def show_lox(screen, given):
    screen.explain("""examples/lox is a whole interpreter: compiler, bytecode VM, collector. It has
        a switch that sends every block to malloc, one by one (--strategy all-heap), so the same
        interpreter runs both ways: start opens and closes 4,000 VMs, compile reads 1 MiB of
        source, the others run the programs in examples/lox/programs.""")
    with tempfile.TemporaryDirectory() as directory:
        programs = lox_programs(must_find(given.release, "lox"), directory, given.quick)
        compare(screen, given, programs, LOX_SECONDS)


LUA_PROGRAMS = ("binary-trees", "closures", "json", "live-tree", "strings", "tables")
LUA_SCALE, LUA_SCALE_QUICK = "0.2", "0.02"


def show_lua(screen, given):
    screen.explain("""Your interpreter need not be written for Fief. Lua asks for memory through
        one function, and fief_lua_alloc is that function: no arenas, no table, Fief's heap alone.
        So this is what you gain by changing one line. See examples/lua.""")
    lua = find(given.release, "fief-lua")
    if lua is None:
        screen.note("skipped: no fief-lua (it needs liblua5.4-dev)")
        return
    scale = LUA_SCALE_QUICK if given.quick else LUA_SCALE
    programs = {}
    for name in LUA_PROGRAMS:
        script = [str(EXAMPLES / "lua/programs" / (name + ".lua")), scale]
        programs[name] = tuple([lua, "--allocator", a, *script] for a in ("libc", "fief"))
    compare(screen, given, programs, LUA_SECONDS)


# ---- 6: memory patterns ----

def show_patterns(screen, given):
    screen.explain("""Which strategy for which kind? Watch one program's blocks from birth to
        death, and it shows: frames die at once, the tree dies with its unit, the collector's
        objects each at their own time. The last table runs each strategy's blocks again, alone,
        in the program's own order, on malloc and on Fief: that is what this strategy saved. No
        free is spared where objects die one by one; there the time is won by knowing sizes.""")
    command = [must_find(given.release, "patterns")] + ["--quick"] * given.quick
    script = EXAMPLES / "lox/programs/orders.lox"
    screen.line(f"{INDENT}of {script.relative_to(ROOT)}, each block watched")
    child = subprocess.Popen([*command, str(script)], stdout=subprocess.PIPE, text=True)
    for line in child.stdout:
        screen.line(("  " + line).rstrip())
    if child.wait() != 0:
        raise Failed(f"patterns ended with status {child.returncode}")


# ---- 7: mistakes ----

MISTAKES = 3


def outcome(code):
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"status {code}"


def show_mistakes(screen, given):
    screen.explain("""The other half of the library. Each of these runs as if nothing were wrong in
        many a test; the debug build says what happened, where, to which object, and what to do. A
        write past a block, a free of what is not the collector's, a leak.""")
    program = find(given.debug, "misuse-demo") if given.debug != "none" else None
    if program is None:
        screen.note("skipped: no debug build was given")
        return
    missed = []
    for number in range(1, MISTAKES + 1):
        screen.line(f"\n$ misuse-demo {number}")
        code = subprocess.run([program, str(number)], stderr=subprocess.STDOUT,
                              check=False).returncode
        expected = code == -signal.SIGABRT if number < MISTAKES else code == 1
        missed += [] if expected else [number]
        screen.line(f"({outcome(code)}{'' if expected else ': NOT what was expected'})")
    if missed:
        raise Failed(f"not caught: {missed}")


# ---- 8: what next ----

NEXT = (
    ("./dev demo --tour", "the same, explained as it goes"),
    ("./dev misuse", "every mistake that is caught, and who else notices it"),
    ("./dev bench", "every figure, with its target; ./dev bench --help"),
    ("build/release/examples/lox/lox", "Lox, line by line; --stats FILE for where its bytes go"),
    ("build/release/examples/fief-lua --stats SCRIPT", "your own Lua script, and its bytes"),
    ("./dev help", "tests, fuzzing, the rest"),
)


def show_next(screen, _given):
    for command, about in NEXT:
        screen.line(f"{INDENT}{command}")
        screen.line(f"{INDENT}    {about}", DIM)


PARTS = (
    ("build release + debug", show_build),
    ("five places for memory, by example", show_examples),
    ("each of them beside malloc", show_micro),
    ("a Lox interpreter: arenas and pools, or malloc for everything", show_lox),
    ("six Lua programs, an interpreter as it comes", show_lua),
    ("where the bytes went, how long they lived, what it saved", show_patterns),
    ("three mistakes, caught by the debug-poisoned build", show_mistakes),
    ("what to try next", show_next),
)


# ---- all of it ----

class Parser(argparse.ArgumentParser):
    def error(self, message):
        print(f"demo: {message} (./dev demo --help)", file=sys.stderr)
        sys.exit(BAD_USAGE)


def parse(arguments):
    parser = Parser(prog="./dev demo", allow_abbrev=False, description=__doc__,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tour", action="store_true",
                        help="explain each part; on a terminal, wait for the reader")
    parser.add_argument("--part", type=int, metavar="N", choices=range(1, len(PARTS) + 1),
                        help=f"only this part, 1 to {len(PARTS)} (and the build)")
    parser.add_argument("--quick", action="store_true",
                        help="see that everything runs; the figures mean nothing")
    parser.add_argument("--built", nargs=2, metavar=("RELEASE", "DEBUG"),
                        help="build directories to use as they are; DEBUG may be none")
    given = parser.parse_args(arguments)
    given.release, given.debug = given.built or (str(ROOT / "build/release"),
                                                 str(ROOT / "build/debug"))
    return given


def header(given):
    lua = first_line("pkg-config", "--modversion", "lua5.4")
    gcc = first_line("gcc", "-dumpfullversion")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    machine = ", ".join([f"lua {lua}" if lua else "no lua", f"gcc {gcc}" if gcc else "no gcc",
                         f"{cores} cores"])
    left = f"fief demo   {machine}"
    seconds = LOX_SECONDS + LUA_SECONDS + OTHER_SECONDS
    right = f"{len(PARTS)} parts, about {seconds} s" + ("" if given.tour else "   (--tour)")
    return f"{left}{right:>{max(WIDTH - len(left), len(right) + 3)}}"


def show_parts(screen, given):
    for number, (title, show) in enumerate(PARTS, 1):
        if given.part in (None, number) or (number == 1 and not given.built):
            screen.heading(number, title)
            show(screen, given)
    screen.line(f"\ndemo: done in {screen.seconds():.0f} s"
                + (" (--quick: the figures mean nothing)" if given.quick else ""))


def main(arguments):
    given = parse(arguments)
    screen = Screen(given.tour, len(PARTS))
    screen.line(header(given))
    try:
        show_parts(screen, given)
    except (Quit, EOFError):
        screen.line()
    except Failed as failure:
        screen.line()
        print(f"demo: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(130)
