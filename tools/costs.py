#!/usr/bin/env python3
"""The guide's table of what each strategy costs, from a run of bench-core.

usage: costs.py BENCH_CORE DEBUG_BUILD GUIDE      measure, and write the table into the guide
       costs.py --check BENCH_CORE GUIDE          has the guide the table that a run would give?

The table stands between <!-- costs --> and <!-- end of costs -->. --check looks at all of it but
the figures: at the rows, and that each cell has a figure where this bench measures something."""
import datetime
import json
import pathlib
import re
import subprocess
import sys

BEGIN, END = "<!-- costs -->\n", "<!-- end of costs -->"
ROWS = [
    ("VM, compiler arena", "a block of 24 B, with its share of the reset", "arena-24"),
    ("", "the same of 8 to 256 B, as in a tree", "arena-mix"),
    ("", "`fief_new` of 48 B", "fief-new-arena"),
    ("", "one reset of a million blocks of 24 B", "arena-reset-1e6"),
    ("", "the end of a unit of 64 KiB", "unit-end-64k"),
    ("arena, stack", "mark, four blocks, rewind", "mark-rewind"),
    ("pool", "`fief_new` of 48 B", "fief-new-pool"),
    ("heap", "`fief_new` of 48 B", "fief-new-heap"),
    ("", "free and allocate, 1,000 blocks live", "heap-1000"),
    ("", "the same, 30,000 live", "heap-30000"),
    ("", "`fief_release`, `fief_malloc`, 30,000 live", "heap-unsized-30000"),
    ("runtime", "open and close", "open-close"),
    ("", "the same in a kept range", "open-close-kept"),
]
LARGER = {"ns": "us", "us": "ms"}
VARIANTS = {"Fief, release": "fief", "malloc, free": "libc", "Fief, debug": "fief-debug"}


def measure(program, *options):
    """({(bench, variant): (median, unit)}, what disturbed it); its progress goes on to stderr."""
    command = [program, "--json", "--lua-host", "none", *options]
    command += [word for _, _, name in ROWS for word in ("--only", name)]
    done = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    disturbed = ""
    for line in done.stderr:
        sys.stderr.write(line)
        others = re.search(r"others used .* % of a CPU meanwhile", line)
        disturbed = others[0] if others is not None else disturbed
    figures = [json.loads(line) for line in done.stdout]
    if done.wait() != 0:
        raise SystemExit(f"costs.py: {program} ended in status {done.returncode}")
    return {(f["bench"], f["variant"]): (f["median"], f["unit"]) for f in figures}, disturbed


def figure(value):
    if value is None:
        return ""
    number, unit = value
    while number >= 1000 and unit in LARGER:
        number, unit = number / 1000, LARGER[unit]
    return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f} {unit}"


def processor():
    text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    name = re.search(r"^model name\s*: (.*)$", text, re.M)
    return name[1] if name is not None else "this machine"


def table(figures, caption):
    lines = ["| strategy | what | " + " | ".join(VARIANTS) + " |",
             "|---|---|" + "---|" * len(VARIANTS)]
    for strategy, what, bench in ROWS:
        cells = [figure(figures.get((bench, variant))) for variant in VARIANTS.values()]
        lines.append(f"| {strategy} | {what} | " + " | ".join(cells) + " |")
    return "\n".join([caption, "", *lines, ""])


def caption_of(disturbed):
    caption = (f"{datetime.date.today()}, {processor()}: medians of `./dev bench core`,\n"
               "written here by `./dev docs --costs`.")
    return caption + (f" ({disturbed[0].upper()}{disturbed[1:]}.)" if disturbed else "")


def parts_of(guide):
    """What stands before the table, it, and what stands behind it."""
    before, rest = guide.read_text(encoding="utf-8").split(BEGIN)
    shown, after = rest.split(END)
    return before, shown, after


def without_figures(text):
    """Each figure as a word, and the caption as the words that do not change."""
    text = re.sub(r"^\d{4}-\d\d-\d\d, .*: medians", "DATE: medians", text)
    text = re.sub(r" \(Others used .*\.\)$", "", text, flags=re.M)
    return re.sub(r"[\d.]+ (ns|us|ms)\b(?= \|)", "FIGURE", text)


def check(program, guide):
    figures, disturbed = measure(program, "--quick", "--rounds", "1")
    shown = without_figures(parts_of(guide)[1])
    wanted = without_figures(table(figures, caption_of(disturbed)))
    for line, right in zip(shown.splitlines(), wanted.splitlines()):
        # There may be no debug build beside this one: its column is then the guide's alone.
        right_cells, cells = right.split("|"), line.split("|")
        if len(cells) == 7 and right_cells[5] == "  ":
            right_cells[5] = cells[5]
        if cells != right_cells:
            sys.exit(f"{guide}: the table of costs has\n{line}\nand a run gives\n{right}\n"
                     "./dev docs --costs writes it anew")
    if shown.count("\n") != wanted.count("\n"):
        sys.exit(f"{guide}: the table of costs has other rows; ./dev docs --costs writes it anew")


def main():
    if len(sys.argv) == 4 and sys.argv[1] == "--check":
        check(sys.argv[2], pathlib.Path(sys.argv[3]))
        return
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    program, debug_build, guide = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
    figures, disturbed = measure(program, "--debug-lib", debug_build)
    text = table(figures, caption_of(disturbed))
    before, _, after = parts_of(guide)
    guide.write_text(before + BEGIN + text + END + after, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
