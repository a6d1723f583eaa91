"""./dev demo: what Fief does, shown and measured on this machine.

Every figure is of this run. The long parts stop by the clock: as many rounds as fit, 3 at least.
"""
import argparse
import os
import re
import signal
import subprocess
import sys

from builds import EXAMPLES, ROOT, Failed, find, must_find
from loops import show_loops
from programs import LOX_SECONDS, LUA_SECONDS, show_lox, show_lua
from screen import CYAN, DIM, INDENT, WIDTH, Quit, Screen

OTHER_SECONDS = 20  # all but the whole programs: about, on two quiet cores
BAD_USAGE = 2


def first_line(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.split("\n", 1)[0]
    except (OSError, subprocess.CalledProcessError):
        return None


# ---- 1: build ----

def show_build(screen, given):
    screen.explain("""One source, three builds, of which the demo takes two. Release is what you
        ship: no checks on the fast paths. Debug-poisoned is what you test with: a mistake is
        reported with the places where the block was made and died. The third teaches
        AddressSanitizer about the blocks. Your program need not be compiled again for another
        build: the headers have no mode in them.""")
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


# ---- 3 to 5 are in loops.py and programs.py; 6: memory patterns ----

def show_patterns(screen, given):
    screen.explain("""Which strategy for which kind? Watch one program's blocks from birth to
        death, and it shows: frames die at once, the tree dies with its unit, the collector's
        objects each at their own time. The last table runs each strategy's blocks again, alone,
        in the program's own order, on malloc and on Fief: that is what this strategy saved. No
        free is spared where objects die one by one; there the path is shorter, since the host
        says what it frees.""")
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
    ("each of them beside malloc", show_loops),
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
    right = f"{len(PARTS)} parts"
    if not (given.part or given.quick or given.tour):
        right += f", about {LOX_SECONDS + LUA_SECONDS + OTHER_SECONDS} s   (--tour)"
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
