#!/usr/bin/env python3
"""The figures of bench-core as pictures: bars of each bench, and what an object and a reset cost as
their number grows. They are readable on a light and on a dark page.

The same figures go as tables into FOLDER.md, between their marks: Lua's programs by themselves.
POINTS are those of bench memory: what is held for what is alive, as a server runs.

usage: plot.py JSON-LINES FOLDER [POINTS]"""
import json
import pathlib
import sys

try:
    import matplotlib
except ImportError:
    sys.exit("plot: matplotlib is not installed for this python3: apt-get install python3-matplotlib")
matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

LIGHT = ["#0072B2", "#8F6400", "#007A59", "#A8487F", "#C04F00", "#2A7DB0", "#6B6B6B"]
DARK = ["#4BA3E3", "#E69F00", "#2FC39A", "#E08FBF", "#F07A2E", "#8CD0F5", "#A0A0A0"]
INK, INK_DARK, PAPER, PAPER_DARK = "#1a1b1e", "#e4e6ea", "#fdfdfc", "#16181c"
MARKS = "osD^vPX*<>hp8"
GROUPS = {"arena": ["arena-24", "arena-mix", "cold-1e6", "mark-rewind"],
          "heap": ["heap-1000", "heap-30000"], "pages": None}
CURVES = {"growth": ("growth-", "ns an object, with its share of the reset"),
          "reset": ("reset-", "us, one reset (fief) or every free (malloc)"),
          "destroy": ("destroy-", "us, an arena's end; malloc: every free, or its heap"),
          "close": ("close-", "us, a VM dropped; malloc: every free, or its heap")}


def style():
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "fief", "font.family": "sans-serif",
                         "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK,
                         "xtick.color": INK, "ytick.color": INK, "figure.facecolor": PAPER,
                         "axes.facecolor": PAPER, "legend.facecolor": PAPER})


def save(figure, path, title):
    """An attribute's colour is a presentation of the light page; the rules below win on a dark one."""
    figure.savefig(path, metadata={"Date": None, "Title": title})
    plt.close(figure)
    rules = ""
    for light, dark in zip([*LIGHT, INK, PAPER], [*DARK, INK_DARK, PAPER_DARK]):
        for what in ("fill", "stroke"):
            rules += f'[style*="{what}: {light.lower()}"]{{{what}:{dark} !important}}'
    rules = f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
    text = path.read_text()
    head = text.index(">", text.index("<svg")) + 1
    path.write_text(text[:head] + rules + text[head:])
    print(path)


def bars(rows, name, benches, folder):
    benches = [b for b in benches if any(r["bench"] == b for r in rows)]
    if not benches:
        return
    heights = [sum(r["bench"] == b for r in rows) + 1 for b in benches]
    figure, all_axes = plt.subplots(len(benches), 1, figsize=(7, 0.24 * sum(heights) + 0.7),
                                    gridspec_kw={"height_ratios": heights}, squeeze=False)
    for axes, bench in zip(all_axes[:, 0], benches):
        own = [r for r in rows if r["bench"] == bench][::-1]
        values = [r["median"] for r in own]
        colours = [LIGHT[0] if r["variant"].startswith("fief") else LIGHT[6] for r in own]
        axes.barh([r["variant"] for r in own], values, color=colours)
        for at, value in enumerate(values):
            axes.text(value, at, f" {value:.3g}", va="center", fontsize=8)
        axes.set_title(f"{bench} ({own[0]['unit']}, less is faster)", fontsize=9, loc="left")
        axes.tick_params(labelsize=8)
        axes.set_xlim(0, max(values) * 1.12)
    figure.tight_layout()
    save(figure, folder / f"{name}.svg", f"Fief's benches: {name}")


def page_bars(rows, folder):
    own = [dict(r, variant=r["bench"][6:], bench="a page of 4 KiB") for r in rows
           if r["bench"].startswith("pages-")]
    bars(own, "pages", ["a page of 4 KiB"], folder)


def curves(rows, name, prefix, label, folder):
    own = [r for r in rows if r["bench"].startswith(prefix)]
    if not own:
        return
    figure, axes = plt.subplots(figsize=(7, 4.2))
    for index, variant in enumerate(dict.fromkeys(r["variant"] for r in own)):
        points = [(float(r["bench"][len(prefix):]), r["median"]) for r in own
                  if r["variant"] == variant]
        axes.plot(*zip(*points), label=variant, color=LIGHT[index % 7], marker=MARKS[index % 13],
                  linewidth=2.5 if variant == "fief" else 1, markersize=4)
    axes.set(xscale="log", yscale="log", xlabel="objects of 24 B", ylabel=label)
    axes.legend(fontsize=7, ncol=2, frameon=False)
    figure.tight_layout()
    save(figure, folder / f"{name}.svg", f"Fief's benches: {name}")


def memory(points, folder):
    """A picture for each scenario of a server: resident bytes over live ones."""
    titles = {"memory-server": "sizes of four mixes", "memory-drift": "sizes drift, eight times"}
    figure, all_axes = plt.subplots(len(titles), 1, figsize=(7, 6), sharex=True)
    for axes, (scenario, title) in zip(all_axes, titles.items()):
        own = [p for p in points if p["scenario"] == scenario]
        for index, variant in enumerate(dict.fromkeys(p["variant"] for p in own)):
            line = [(p["operations"] / 1e6, p["held"] / p["live"]) for p in own
                    if p["variant"] == variant]
            axes.plot(*zip(*line), label=variant, color=LIGHT[index % 7],
                      linewidth=2.5 if variant == "fief" else 1)
        axes.set(ylabel="resident / live", title=title, ylim=(1, None))
        axes.legend(fontsize=7, ncol=5, frameon=False)
    all_axes[-1].set_xlabel("millions of allocations and frees")
    figure.tight_layout()
    save(figure, folder / "memory.svg", "Fief's benches: memory over time")


def table(rows, path, name="figures"):
    """A row a bench, a column a variant; the spread where it is more than 5 %."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    text = path.read_text() if path.exists() else ""
    if not rows or begin not in text or end not in text:
        return
    shown = [r for r in rows if r["variant"] != "ideal" or r["bench"] == "mark-rewind"]
    names = list(dict.fromkeys(r["variant"] for r in shown))
    lines = ["| bench | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for bench in dict.fromkeys(r["bench"] for r in shown):
        own = {r["variant"]: r for r in shown if r["bench"] == bench}
        cells = []
        for name in names:
            r = own.get(name)
            noisy = r is not None and (r["spread"] or 0) > 0.05
            cells.append("" if r is None else f"{r['median']:.3g}"
                         + (f" +-{r['spread']:.0%}" if noisy else ""))
        lines.append(f"| {bench}, {next(iter(own.values()))['unit']} | " + " | ".join(cells) + " |")
    head, rest = text.split(begin)
    path.write_text(head + begin + "\n".join(lines) + "\n" + end + rest.split(end)[1])


def lines_of(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]


def main(source, folder, points=None):
    rows = lines_of(source)
    if not rows:
        sys.exit("plot: there is no figure to draw")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    style()
    if points is not None:
        memory(lines_of(points), folder)
        table(rows, folder.with_suffix(".md"), "memory")
        return
    for name, benches in GROUPS.items():
        if benches is not None:
            bars(rows, name, benches, folder)
    page_bars(rows, folder)
    for name, (prefix, label) in CURVES.items():
        curves(rows, name, prefix, label, folder)
    lua = [r for r in rows if r["bench"].startswith(("lua-", "vm-lua"))]
    table([r for r in rows if r not in lua], folder.with_suffix(".md"))
    table(lua, folder.with_suffix(".md"), "lua")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(*sys.argv[1:])
