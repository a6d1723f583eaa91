#!/usr/bin/env python3
"""What the strategies bring to the Lox interpreter: beside --strategy all-heap, where every block
is libc's, the same programs by turns on one core, in CPU time, and their peak memory.

usage: lox.py [--rounds N] [--only NAME] [--json] BENCH-LOX PROGRAMS-DIRECTORY

lox-image-1mb is the start with a prelude of 1 MB: its image, mapped and checked whole, beside the same
prelude compiled; lox-image-first is the same once, in a process that has touched nothing. A ratio is the median of the rounds' own ratios: in one round both ran one after the other, so that
a slow minute hits both. A start is that of a VM in a process that has begun. Exit status 1 where a
goal is missed, unless --json."""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ARENAS, HEAP, MUNMAP, IMAGE = "arenas", "all-heap", "munmap", "image"
STARTS = 5000
SOURCE_BYTES = 1_000_000
# bench, unit, argument of bench-lox, the least that the other side takes more, the most it may take
BENCHES = {
    "lox-start": ("ns", ("start", str(STARTS)), 1.3, None),
    "lox-compile-1mb": ("ms", ("run", "source.lox"), 1.5, None),
    "lox-trees": ("ms", ("run", "trees.lox"), 1.4, None),
    "lox-instances": ("ms", ("run", "instances.lox"), 1.4, None),
    "lox-strings": ("ms", ("run", "strings.lox"), 1.4, None),
    "lox-image-1mb": ("ms", ("runs", "prelude", "20"), 20, None),
    "lox-image-first": ("ms", ("run", "prelude"), None, None),
    "lox-close-100mb": ("ms", ("close",), None, 3.0),
}
PEAKS = ["lox-compile-1mb", "lox-trees", "lox-instances", "lox-strings"]


def source():
    """A program that is nearly all compilation: 1 MB of functions and classes that nobody calls."""
    parts, size, number = [], 0, 0
    while size < SOURCE_BYTES:
        parts.append(f"""class Shape{number} < Base {{
  init(width, height) {{ super.init(); this.width = width; this.height = height; }}
  area() {{ if (this.width > 0 and this.height > 0) return this.width * this.height; return nil; }}
}}
fun walk{number}(first, last) {{
  var sum = 0;
  for (var i = first; i < last; i = i + 1) {{
    if (i == {number}) {{ print "found " + "it {number}"; }} else {{ sum = sum + i * 2 - 1 / 3; }}
  }}
  fun inner(x) {{ return x + sum; }}
  return inner(Shape{number}(sum, -first).area());
}}
""")
        size += len(parts[-1])
        number += 1
    return "class Base { init() {} }\n" + "".join(parts)


def run(program, variant, arguments):
    """(time, peak KiB) of one process."""
    done = subprocess.run([program, variant, *arguments], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bench lox: {variant} {' '.join(arguments)}: {done.stderr.strip()}")
    time, peak = done.stderr.split()
    return float(time), int(peak)


def variants_of(name):
    """Ours, the other side, and what is measured beside them."""
    if name.startswith("lox-image"):
        return (IMAGE, ARENAS)
    return (ARENAS, HEAP, MUNMAP) if name == "lox-close-100mb" else (ARENAS, HEAP)


def make_prelude(program, folder):
    """prelude.lox of 1 MB, and its image."""
    maker = pathlib.Path(__file__).resolve().parent.parent / "tools/lox_prelude.py"
    prelude = subprocess.run([sys.executable, maker, str(SOURCE_BYTES)], check=True,
                             stdout=subprocess.PIPE).stdout
    (folder / "prelude.lox").write_bytes(prelude)
    run(program, ARENAS, ["save", str(folder / "prelude.lox"), str(folder / "prelude.img")])


def measure(given, names, folder):
    """{(bench, variant): [value of each round]}; the order of a round's variants alternates."""
    rounds = {}
    for name in names:
        arguments = list(BENCHES[name][1])
        if arguments[0] == "run":
            own = folder / arguments[1]
            arguments[1] = str(own if own.exists() else given.programs / arguments[1])
        for turn in range(given.rounds):
            order = variants_of(name)[::-1] if turn % 2 else variants_of(name)
            for variant in order:
                if name.startswith("lox-image"):
                    suffix = ".img" if variant == IMAGE else ".lox"
                    arguments[1] = str((folder / "prelude").with_suffix(suffix))
                time, peak = run(given.program, variant, arguments)
                rounds.setdefault((name, variant), []).append(time)
                if name in PEAKS:
                    rounds.setdefault((name + "-peak", variant), []).append(peak)
            if sys.stderr.isatty():
                print(f"\r\033[K{name} {turn + 1}/{given.rounds}", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return rounds


def spread(values):
    """Half of the interquartile range, of the median."""
    if len(values) < 3:
        return None
    low, middle, high = statistics.quantiles(values, n=4)
    return round((high - low) / 2 / middle, 3) if middle else None


def ratio(rounds, name):
    """How much more the other side takes."""
    ours, other = variants_of(name.removesuffix("-peak"))[:2]
    return statistics.median(theirs / own for theirs, own
                             in zip(rounds[name, other], rounds[name, ours]))


def goals(rounds, names):
    """(bench, what was found, in words, is it met)"""
    for name in names:
        _, _, least, most = BENCHES[name]
        if least is not None:
            found = ratio(rounds, name)
            ours, other = variants_of(name)[:2]
            yield name, f"{other} / {ours} {found:.2f} >= {least}", found >= least
        if most is not None:
            found = statistics.median(rounds[name, ARENAS])
            floor = statistics.median(a / m for a, m in zip(rounds[name, ARENAS],
                                                            rounds[name, MUNMAP]))
            yield name, f"arenas {found:.1f} ms <= {most}; {floor:.2f} x munmap", found <= most
        if name in PEAKS:
            found = ratio(rounds, name + "-peak")
            yield name + "-peak", f"all-heap / arenas {found:.2f} >= 1", found >= 1


def print_table(rounds, names):
    for (name, variant), values in rounds.items():
        unit = "KiB" if name.endswith("-peak") else BENCHES[name][0]
        part = spread(values)
        print(f"{name:22} {variant:9} {statistics.median(values):12,.1f} {unit:4}"
              + (f" +-{part:4.0%}" if part is not None else ""))
    missed = 0
    for name, words, met in goals(rounds, names):
        missed += not met
        print(f"{name:22} {words} {'ok' if met else 'MISSED'}")
    return missed


def print_json(rounds):
    for (name, variant), values in rounds.items():
        unit = "KiB" if name.endswith("-peak") else BENCHES[name][0]
        print(json.dumps({"bench": name, "variant": variant, "median": statistics.median(values),
                          "unit": unit, "spread": spread(values), "instructions": None}))


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", action="append", metavar="NAME", choices=BENCHES)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("programs", type=pathlib.Path)
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds is at least 1")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    names = given.only or list(BENCHES)
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "source.lox").write_text(source(), encoding="ascii")
        if any(name.startswith("lox-image") for name in names):
            make_prelude(given.program, pathlib.Path(folder))
        rounds = measure(given, names, pathlib.Path(folder))
    if given.json:
        print_json(rounds)
        return
    sys.exit(1 if print_table(rounds, names) else 0)


if __name__ == "__main__":
    main()
