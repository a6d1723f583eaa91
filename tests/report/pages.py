#!/usr/bin/env python3
"""`fief report` and `fief advise`, as TAP: what is in the page, and whether it adds up.

    pages.py FIEF UNITS SOURCE-ROOT [CC...]

UNITS is tests/report/units.c: it writes a runtime's trace. With tidy and chromium they look
at the page, too.
"""
import html.parser
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

FIEF, UNITS, ROOT = (os.path.abspath(word) for word in sys.argv[1:4])
COMPILER = sys.argv[4:] or ["cc"]
DEEP = os.path.join(ROOT, "tests", "trace", "words-depth8.trace")
LIMIT = 2000000

sys.path.insert(0, os.path.join(ROOT, "tests"))
from tap import end, report, skip  # noqa: E402


def fief(*words):
    environment = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "NO_COLOR")}
    done = subprocess.run([FIEF, *words], capture_output=True, timeout=300, env=environment)
    return (
        done.returncode,
        done.stdout.decode(errors="replace"),
        done.stderr.decode(errors="replace"),
    )


class Page(html.parser.HTMLParser):
    """What a test asks of a page: its data, its tables' rows, what it would fetch."""

    VOID = {"meta", "br", "input", "link", "img"}

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        with open(path, encoding="utf-8") as file:
            self.source = file.read()
        self.open, self.wrong, self.fetches, self.ids = [], [], [], []
        self.text, self.scripts, self.rows = [], [], {}
        self.section = ""
        self.feed(self.source)
        self.close()
        self.data = json.loads(self.scripts[0])

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag not in self.VOID:
            self.open.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.section = given["id"] if tag == "section" else self.section
        self.fetches += [given[name] for name in ("src", "href", "action") if name in given]
        if tag == "tr":
            self.rows[self.section] = self.rows.get(self.section, 0) + 1
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"{tag} at {self.getpos()}")

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif not self.open or self.open[-1] != "style":
            self.text.append(data)


def page_of(trace, *options):
    status, _, error = fief("report", trace, "-o", "page.html", "--no-advice", *options)
    if status != 0:
        report(False, f"report {trace}", error)
        sys.exit(1)
    return Page("page.html")


def summary(trace):
    return json.loads(fief("--json", "show", trace)[1])


def check_sums(name, trace):
    """Each figure of the page's data against `fief show`, which counts by another way."""
    page, s = page_of(trace), summary(trace)
    d, m = page.data, page.data["moments"]
    report(
        max(m["bytes"]) == s["peak_bytes"],
        f"{name}: the highest moment is the peak",
        s["peak_bytes"],
    )
    report(
        m["operation"] == sorted(m["operation"]) and len(m["operation"]) <= 600,
        f"{name}: moments are in order, at most 600",
        len(m["operation"]),
    )
    for g in d["groupings"]:
        sums = [sum(column) for column in zip(*g["values"])]
        report(
            sums == m["bytes"] and len(g["series"]) <= 8,
            f"{name}: by {g['name']} it adds up at each moment",
            [x for x in zip(sums, m["bytes"]) if x[0] != x[1]][:5],
        )
    report(
        sum(cell[3] for cell in d["ages"]) == s["blocks"], f"{name}: each block has one lifetime"
    )
    left = sum(cell[4] for cell in d["ages"] if cell[2] == d["alive"])
    report(
        left == s["left_bytes"],
        f"{name}: what is alive at the end is what is left",
        f"{left} {s['left_bytes']}",
    )
    report(
        sum(share[2] for share in d["shares"]) == s["blocks"]
        and sum(share[3] for share in d["shares"]) == s["bytes"],
        f"{name}: slices add up to all blocks and bytes",
    )
    rows = {
        len("".join(c * int(n or 1) for c, n in re.findall(r"([A-Za-z.])(\d*)", column)))
        for by in d["map"]["columns"]
        for column in by
    }
    report(rows == {d["map"]["rows"]}, f"{name}: each column of the page map has all rows", rows)
    return page


def check_page(name, page):
    report(
        not page.wrong and not page.open,
        f"{name}: tags are closed in order",
        page.wrong or page.open,
    )
    report(
        not page.fetches and not re.search(r"url\(|@import|https?://|fetch\(|XMLHttp", page.source),
        f"{name}: it fetches nothing",
        page.fetches,
    )
    report(len(page.ids) == len(set(page.ids)), f"{name}: ids are unique")
    report(len(page.source.encode()) < LIMIT, f"{name}: under 2 MB", len(page.source))
    report(
        page.rows.get("sites", 0) > 1
        and page.rows.get("ages-part", 0) > 1
        and page.rows.get("live-part", 0) > 1
        and page.rows.get("waste-part", 0) > 1,
        f"{name}: its tables are there without a script",
        page.rows,
    )
    tidy = shutil.which("tidy")
    if tidy:
        done = subprocess.run([tidy, "-q", "-e", "page.html"], capture_output=True, text=True)
        report(done.returncode == 0, f"{name}: tidy has nothing to say", done.stderr)
    else:
        skip(f"{name}: tidy", "no tidy")


def check_units():
    page = check_sums("units", "units.trace")
    check_page("units", page)
    d = page.data
    report(
        len(d["units"]) == 60 and all(u["died"] == 30 and u["bytes"] == 960 for u in d["units"]),
        "a unit's lane has what died with it",
        d["units"][:2],
    )
    report(
        [u["escaped"] for u in d["units"]] == [26] * 5 + [25] * 55,
        "and what escaped",
        d["units"][:7],
    )
    report(sum(what == "mark" for _, what, _ in d["remarks"]) == 60, "marks are there")
    report(
        "</script><b>main" in {u["name"] for u in d["units"]}
        and "<b>main" not in page.source
        and "name & <b>, literal" in "".join(page.text),
        "names are escaped, in HTML and in the script",
    )
    report(
        "vm arena" in d["groupings"][0]["series"]
        and "closure" in d["groupings"][1]["series"]
        and any("units.c" in name or "units+" in name for name in d["groupings"][2]["series"]),
        "strategies, kinds and sites are series",
        d["groupings"][2]["series"],
    )
    plain = check_sums("words", DEEP)
    check_page("words", plain)
    status, out, error = fief("--json", "report", DEEP)
    report(
        status == 0 and json.loads(out)["moments"] == plain.data["moments"],
        "--json: the figures alone",
        error,
    )
    report(
        "fief_config.trace" in "".join(plain.text),
        "a trace without units says where they come from",
    )


def check_baseline():
    page = page_of("units.trace", "--baseline", DEEP)
    words = re.sub(r"\s+", " ", " ".join(page.text))
    report(
        page.rows.get("changes", 0) > 4 and " new" in words and " gone" in words,
        "--baseline says what came and what went",
        words[-600:],
    )
    report("changes" not in page_of("units.trace").ids, "without one there is no such part")


# ---- a trace of many sites, written here ----


def number(value):
    out = bytearray()
    while True:
        out.append(value & 127 | (128 if value > 127 else 0))
        value >>= 7
        if not value:
            return bytes(out)


def stepped(value):
    return number((value << 1) ^ (value >> 63) if value >= 0 else (-value << 1) - 1)


def checked(data):
    mask = (1 << 64) - 1
    value = len(data) * 0x9E3779B97F4A7C15 & mask
    for i in range(0, len(data), 8):
        value = (value ^ int.from_bytes(data[i : i + 8], "little")) * 0xD6E8FEB86659FD93 & mask
        value ^= value >> 32
    return value & 0xFFFFFFFF


def block(events):
    return struct.pack("<4sIII", b"R\0\0\0", len(events), len(events), checked(events)) + events


def write_many_sites(path, sites, each):
    """Blocks of 48 bytes: every site makes one, and then again, so each has some in all slices."""
    name = b"a rather long name of a place in a script, so that its row is long, %06d.lua:1"
    parts = [bytes([14]) + number(0) * 6]
    for site in range(1, sites + 1):
        text = name % site
        parts.append(bytes([15]) + number(0) + number(len(text)) + text)
    for i in range(sites * each):
        # A block of the file predicts nothing from those before it: its first is whole.
        step = 0x10000000 + i * 64 if i % 4000 == 0 else 64
        alloc = number(1) + number(48) + stepped(step) + number(1 + i % sites)
        parts.append(bytes([1]) + alloc)
    parts.append(bytes([20]) + number(sites * each))
    with open(path, "wb") as file:
        file.write(b"\x89fief\r\n\x1a" + struct.pack("<H6x", 1))
        file.write(block(b"".join(parts[: sites // 2])))
        file.write(block(b"".join(parts[sites // 2 : sites + 1])))
        for at in range(sites + 1, len(parts), 4000):
            file.write(block(b"".join(parts[at : at + 4000])))
    return sites * each


def check_many_sites():
    sites = 3000
    made = write_many_sites("many.trace", sites, 100)
    s = summary("many.trace")
    report(s["blocks"] == made and not s["cut"], f"a trace of {sites} sites reads", s["blocks"])
    page = page_of("many.trace")
    shown = page.rows["sites"] - 1
    size = len(page.source.encode())
    report(LIMIT * 0.9 < size < LIMIT and 500 <= shown < 2000, "its page is just under 2 MB", size)
    report(
        f"{sites - shown:,} smaller ones are left out" in "".join(page.text),
        "it says what is left out",
        shown,
    )
    report(
        {share[0] for share in page.data["shares"]} == set(range(shown)),
        "slices are of the sites that are there",
    )


# ---- a browser ----


def browse(page, fragment="", *options):
    command = [
        shutil.which("chromium"),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        *options,
        "--user-data-dir=" + os.path.abspath("profile"),
        "--virtual-time-budget=3000",
        "--dump-dom",
        "file://" + os.path.abspath(page) + fragment,
    ]
    return subprocess.run(command, capture_output=True, timeout=120).stdout.decode(errors="replace")


def check_browser():
    if not shutil.which("chromium"):
        skip("in a browser", "no chromium")
        return
    page = page_of("units.trace")
    dom = browse("page.html")
    report(
        'data-ready="1"' in dom and "8 of 8 sites" in dom, "the script runs to its end", dom[-300:]
    )
    report(
        dom.count("aria-pressed") >= 3 + len(page.data["groupings"][1]["series"]),
        "the legend has a button a series",
    )
    dom = browse("page.html", "#by=1&q=closure&sort=-blocks")
    report(
        "1 of 8 sites" in dom and 'aria-sort="descending"' in dom, "a permalink searches and sorts"
    )
    last = len(page.data["moments"]["operation"]) - 1
    dom = browse("page.html", f"#from={last - 23}&to={last}")
    report(
        "made in the chosen time" in dom
        and not re.search(
            r"<tr[^>]*hidden[^>]*>.*?closure, dynamic",
            dom.split('id="site-rows"')[1].split("</tr>")[0],
        ),
        "a permalink chooses a time",
    )
    dom = browse("page.html", "#by=99&only=x&from=-4&to=nonsense&sort=none")
    report('data-ready="1"' in dom and "8 of 8 sites" in dom, "nonsense in the hash does no harm")
    dom = browse(
        "page.html", "", "--window-size=360,800", "--blink-settings=preferredColorScheme=0"
    )
    report('data-ready="1"' in dom, "dark, and 360 pixels wide")


# ---- advice ----


def check_advice():
    status, out, error = fief("--json", "advise", "units.trace", "--rounds", "0")
    a = json.loads(out) if status == 0 else {}
    plans = {item["site"]: item["plan"] for item in a.get("advice", [])}
    report(status == 0 and a["schema"] == "fief-advice/1", "advise gives JSON", error)
    report(
        plans.get("node, dynamic") == "unit arena"
        and plans.get("token, temporary") == "unit arena",
        "what dies in its unit goes to the unit arena",
        plans,
    )
    report(
        plans.get("native, native") == "vm arena",
        "what lives to the end goes to the vm arena",
        plans,
    )
    report(
        plans.get("closure, dynamic") in ("pool", "batch arena"),
        "what outlives the unit does not",
        plans,
    )
    report(
        plans.get("frame, dynamic") == "stack",
        "of what the newest dies first goes on a stack",
        plans,
    )
    report(
        a["recorded_blocks"] == 60 * 30 + 60 * 25 + 200,
        "what the runtime had off its heap is counted",
        a,
    )
    report(
        not any(site.startswith("name") for site in plans)
        and a["refused_sites"] == 1
        and a["refused_blocks"] == 5,
        "five blocks forbid it, and are counted",
        a,
    )
    report(
        all(item["outlived"] == 0 and item["proven"] for item in a["advice"]),
        "the replay finds them all sound",
        a,
    )
    status, out, error = fief("advise", "units.trace", "--why", "name")
    report(
        status == 0 and "5 of 120 blocks outlive the unit" in out and "in unit 1, died at" in out,
        "--why shows such a block",
        out + error,
    )
    status, out, error = fief("advise", "units.trace", "--rounds", "1")
    report(
        status == 0 and "replays" in out and all(len(line) < 80 for line in out.splitlines()),
        "the table fits 79 columns",
        out + error,
    )
    status, out, error = fief("--json", "advise", DEEP, "--rounds", "1")
    a = json.loads(out) if status == 0 else {"advice": [], "replays": 0}
    report(
        status == 0 and all(item["time"] > 0 and item["outlived"] == 0 for item in a["advice"]),
        "a recorded program is advised",
        out + error,
    )


def check_emit():
    status, out, error = fief("-q", "advise", "units.trace", "--rounds", "0", "--emit", "kinds.c")
    with open("main.c", "w") as file:
        file.write(
            '#include "kinds.c"\nint main(void)\n{\n'
            "    fief_config config = {.kinds = advised_kinds, .kind_count = ADVISED_KINDS};\n"
            "    fief_runtime *rt = fief_open(&config);\n"
            "    void *block = rt != NULL ? fief_new(rt, ADVISED_OTHER, FIEF_DYNAMIC, 40) : NULL;\n"
            "    if (block != NULL) {\n        fief_free(rt, ADVISED_OTHER, block, 40);\n    }\n"
            "    return block != NULL && ADVISED_KINDS > 3 ? (int)fief_close(rt) : 1;\n}\n"
        )
    library = os.path.abspath(os.environ.get("FIEF_LIBRARY", ""))
    done = subprocess.run(
        [
            *COMPILER,
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-I",
            os.path.join(ROOT, "include"),
            "main.c",
            library,
            "-Wl,-rpath," + os.path.dirname(library),
            "-lpthread",
            "-o",
            "advised",
        ],
        capture_output=True,
        text=True,
    )
    report(
        status == 0 and done.returncode == 0,
        "the table of kinds compiles without a warning",
        error + done.stderr,
    )
    ran = (
        subprocess.run(["./advised"], capture_output=True, text=True)
        if done.returncode == 0
        else None
    )
    report(
        ran is not None and ran.returncode == 0, "and a runtime opens with it", ran and ran.stderr
    )


def refused(name, expected, words, part):
    status, out, error = fief(*words)
    report(
        status == expected and len(error.strip().splitlines()) == 1 and part in error and out == "",
        f"refused: {name}",
        f"{status}: {error}{out[:200]}",
    )


def check_bad_input():
    with open("units.trace", "rb") as file:
        whole = file.read()
    files = {
        "text": b"no trace, but a text that is long enough",
        "version": whole[:8] + b"\x07" + whole[9:],
        "nothing": b"",
    }
    for name, data in files.items():
        with open(name, "wb") as file:
            file.write(data)
    for command in (["report", "-o", "none.html"], ["advise"]):
        what = command[0]
        refused(f"{what}: not a trace", 3, [*command, "text"], "text: is not a trace")
        refused(f"{what}: another version", 3, [*command, "version"], "of version 7")
        refused(f"{what}: empty", 3, [*command, "nothing"], "is empty")
        refused(f"{what}: not there", 3, [*command, "missing"], "No such file")
        refused(f"{what}: no trace named", 2, command, "which trace?")
        refused(f"{what}: two traces", 2, [*command, "units.trace", "text"], "one trace at a time")
        with open("none", "wb") as file:
            file.write(whole[:16] + block(bytes([20, 0])))
        refused(f"{what}: no operations", 3, [*command, "none"], "has no operations")
    report(not os.path.exists("none.html"), "no page is left of them")
    refused(
        "report: an unwritable page",
        4,
        ["report", "--no-advice", "units.trace", "-o", "/nowhere/x"],
        "/nowhere/x: cannot be written",
    )
    refused(
        "report: a full disk",
        4,
        ["-q", "report", "--no-advice", "units.trace", "-o", "/dev/full"],
        "No space left",
    )
    report(not os.path.isfile("/dev/full"), "the device is still one")
    refused(
        "report: a bad baseline",
        3,
        ["report", "units.trace", "--baseline", "text", "-o", "none.html"],
        "text: is not a trace",
    )
    refused(
        "report: an unknown option",
        2,
        ["report", "units.trace", "--basline", "x"],
        "did you mean '--baseline'?",
    )
    refused(
        "advise: unwritable kinds",
        4,
        ["advise", "units.trace", "--rounds", "0", "--emit", "/nowhere/x"],
        "/nowhere/x: cannot be written",
    )
    refused(
        "advise: rounds", 2, ["advise", "units.trace", "--rounds", "many"], "a number from 0 to 15"
    )
    refused(
        "advise: an unknown site",
        3,
        ["advise", "units.trace", "--why", "nobody"],
        "has no site 'nobody'",
    )
    with open("cut", "wb") as file:
        file.write(whole[: len(whole) // 2])
    status, _, error = fief("-q", "convert", "cut", "--to", "folded")
    if "no operations" in error:
        write_many_sites("longer.trace", 3000, 5)
        with open("longer.trace", "rb") as file:
            longer = file.read()
        with open("cut", "wb") as file:
            file.write(longer[: len(longer) - 100])
    status, _, error = fief("report", "cut", "-o", "cut.html", "--no-advice")
    report(
        status == 0 and "cut after" in error and "cut after" in "".join(Page("cut.html").text),
        "a cut trace gives a page up to the cut, which says so",
        error,
    )


def main():
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        subprocess.run([UNITS, "units.trace"], check=True)
        check_units()
        check_baseline()
        check_many_sites()
        check_advice()
        check_emit()
        check_bad_input()
        check_browser()
        os.chdir("/")
    return end()


sys.exit(main())
