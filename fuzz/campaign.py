#!/usr/bin/env python3
"""What ./dev fuzz keeps, with engines that only pretend, as TAP: campaign.py SOURCE-ROOT.

A campaign here ends when what it is to find is there, or the engine fails: nothing is timed.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(sys.argv[1]).resolve()
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

import fuzz # noqa: E402
import fuzz_engines # noqa: E402
import fuzz_finds # noqa: E402
import tap # noqa: E402

# As libFuzzer: what FAKE says, then it waits for its end.
ENGINE = """#!{python}
import os, signal, sys
words = os.environ["FAKE"].split()
prefix = next(word[17:] for word in sys.argv if word.startswith("-artifact_prefix="))
print("#9\\tNEW cov: 5 ft: 5 corp: 1/1b exec/s: 9", "fuzz: expected boom, found none", sep="\\n",
      file=sys.stderr, flush=True)
if "slow" in words:
    open(prefix + "slow-unit-1", "w").write("slow")
if "crash" in words:
    open(prefix + "crash-1", "w").write("open\\nboom\\nclose\\n")
    sys.exit(77)
if "broken" in words:
    sys.exit("no such flag")
signal.pause()
"""
# As afl-fuzz: an input of each kind, and figures that are just being written.
AFL = """#!{python}
import os, signal, sys
out = sys.argv[sys.argv.index("-o") + 1] + "/main/"
for kind, text in ("queue", "new\\n"), ("crashes", "boom\\n"), ("hangs", "long\\n"):
    os.makedirs(out + kind)
    open(out + kind + "/id:000000,src:1", "w").write(text)
open(out + "plot_data", "w").write("1,2,3")
open(out + "words", "w").write(" ".join(sys.argv))
signal.pause()
"""
# The driver fails as one that AddressSanitizer watches.
DRIVER = """#!{python}
import os, sys
text = open(sys.argv[-1]).read()
if "--text" in sys.argv or "--bytes" in sys.argv:
    print(text, end="")
elif "boom" in text:
    while os.environ.get("FAKE") == "crash stuck" and "close" not in text:
        pass
    print("fuzz: expected boom, found none", file=sys.stderr, flush=True)
    if "abort_on_error=1" in os.environ["ASAN_OPTIONS"]:
        os.abort()
    sys.exit(1)
"""


class Tree:
    """A tree where the engines and the driver pretend."""

    def __init__(self, folder):
        self.root = pathlib.Path(folder)
        self.program("build/release/fuzz/fief-fuzz", DRIVER)
        self.program("build/fuzz-release/fuzz/fuzz-arena", ENGINE)
        self.program("bin/clang", "#!/bin/sh\n")
        self.program("bin/afl-fuzz", AFL)
        self.seed = self.root / "corpus/arena/a.ops"
        self.seed.parent.mkdir(parents=True)
        self.seed.write_text("open\n")
        self.work = self.root / "build/fuzz-corpus/arena"

    def program(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{python}", sys.executable))
        path.chmod(0o755)

    def start(self, fake, *words):
        """Ctrl-C reaches it, even where it is ignored here."""
        environment = {**os.environ, "FAKE": fake, "PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        return subprocess.Popen(
            [sys.executable, ROOT / "tools/fuzz.py", self.root, "arena", "--mode", "release",
             "--seconds", "10m", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=environment, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))

    def finds(self):
        """{what was found: report.json} of the folders that are whole."""
        return {path.parent.name: json.loads(path.read_text())
                for path in self.root.glob("crashes/arena/*/report.json")}

    def seen(self):
        return sum(find["seen"] for find in self.finds().values())

    def scratch(self, name=""):
        return self.root / "build/fuzz-scratch/arena" / name

    def clear(self):
        for name in ("crashes", "build/fuzz-scratch", "build/fuzz-corpus"):
            shutil.rmtree(self.root / name, ignore_errors=True)


def end_when(campaign, there, number=signal.SIGINT):
    """Its status and what it said, ended once that is there."""
    try:
        while campaign.poll() is None and not there():
            time.sleep(0.05)
        if campaign.poll() is None:
            campaign.send_signal(number)
        out, error = campaign.communicate()
    finally: # also where the test itself is ended
        if campaign.poll() is None:
            campaign.terminate()
    return campaign.returncode, out, error


def repeated(tree):
    status, out, error = end_when(tree.start("crash", "--jobs", "2"), lambda: tree.seen() >= 5)
    tap.report(status == 130 and "finds 1 (seen" in out, "the same crash of two jobs, repeatedly",
               f"{status} {out} {error}")
    folder = next(tree.root.glob("crashes/arena/*"))
    tap.report((folder / "program.ops").read_text() == "boom\n", "it is minimised",
               sorted(folder.iterdir()))
    tap.report("seed " in (folder / "how.txt").read_text()
               and "program.ops" in (folder / "how.txt").read_text(), "how.txt says how",
               (folder / "how.txt").read_text())


def broken(tree):
    left = tree.scratch("libfuzzer-release/crashes/0")
    left.mkdir(parents=True)
    (left / "crash-1").write_text("boom\n")
    status, out, error = end_when(tree.start("broken"), lambda: False)
    tap.report(status == 1 and "the engine failed" in out and "no such flag" in error,
               "an engine that can't run: the summary, and why", f"{status} {out} {error}")
    tap.report(tree.seen() == 1 and "finds 1" in out, "what a killed campaign left is a find", out)


def mended(tree):
    """What was left and fails no more is none, nor is what was only slow."""
    left = tree.scratch("libfuzzer-release/waiting")
    left.mkdir(parents=True)
    (left / "1-crash").write_text("fine\n")
    started = tree.scratch("libfuzzer-release/crashes/0/slow-unit-1").exists
    program = tree.root / "build/fuzz-release/fuzz/fuzz-arena"
    program.write_text(program.read_text().replace("words = os", "len(sys.argv) > 2 or sys.exit()\n"
                                                   "words = os"))
    status, out, error = end_when(tree.start("slow"), started)
    tap.report(status == 130 and not tree.finds() and "fails no more" in error and
               not list(left.iterdir()), "what was left and is mended is no find",
               f"{status} {out} {error}")


def interrupted(tree):
    """While it minimises: this driver never ends without the last line."""
    folder = tree.root / "crashes/arena"
    status, out, error = end_when(tree.start("crash stuck"), lambda: tree.seen() >= 1)
    tap.report(status == 130 and "finds 1" in out, "Ctrl-C while a find is minimised",
               f"{status} {out} {error}")
    names = sorted(path.name for path in folder.glob("*/*"))
    tap.report(names == ["how.txt", "input", "report.json", "report.txt"], "its folder is whole",
               names)


def by_afl(tree, number):
    tree.work.mkdir(parents=True)
    (tree.work / "other").write_text("other\n")
    words = tree.scratch("afl-release/afl/main/words")
    status, out, error = end_when(tree.start("", "--engine", "afl"), words.exists, number)
    name = signal.Signals(number).name
    tap.report(status == 130 and "stopped after" in out, f"afl: {name} ends it with a summary",
               f"{status} {out} {error}")
    finds = sorted(find["found"] for find in tree.finds().values())
    tap.report(finds == [fuzz_finds.HANG, "fuzz: expected boom, found none"],
               f"afl: a crash and a hang, at {name}", finds)
    kept = sorted(path.read_text() for path in tree.work.iterdir())
    tap.report(kept == ["new\n", "other\n"], f"afl: its queue, at {name}", kept)
    tap.report(f"-F {tree.work}" in words.read_text() and
               tree.scratch("afl-release/seeds/found-other").exists(),
               "afl: it gets what others found", words.read_text())


def by_afl_killed(tree):
    """The next campaign takes what one left that nobody could end properly."""
    for kind, text in ("queue", "old\n"), ("crashes", "boom\n"), ("hangs", "long\n"):
        folder = tree.scratch(f"afl-release/afl/job-1/{kind}")
        folder.mkdir(parents=True)
        (folder / "id:000007,src:000001").write_text(text)
    words = tree.scratch("afl-release/afl/main/words")
    _, out, error = end_when(tree.start("", "--engine", "afl"), words.exists)
    kept = sorted(path.read_text() for path in tree.work.iterdir())
    tap.report(tree.seen() == 4 and kept == ["new\n", "old\n"], "afl: what a killed campaign left",
               f"{tree.finds()} {kept} {out} {error}")


def without_seeds(tree):
    tree.seed.rename(tree.root / "none")
    status, _, error = end_when(tree.start("", "--engine", "afl"), lambda: False)
    (tree.root / "none").rename(tree.seed)
    tap.report(status == 1 and error.splitlines()[-1].startswith("fuzz: arena: afl-fuzz needs"),
               "afl: no seeds is one line", error)


def figures(folder):
    plot = pathlib.Path(folder, "plot_data")
    row = "9, 1, 2, 33, 0, 0, 1%, 0, 0, 4, 812.5, 7000, 444"
    for name, text, wanted in (("empty", "", None), ("a heading", "# relative_time, x\n", None),
                               ("cut", f"# x\n{row}\n10, 1, 2", (7000, 812.5, 444, 33))):
        plot.write_text(text)
        found = fuzz_engines.last_row(str(plot))
        tap.report(found == wanted, f"plot_data: {name}", found)


def refused(words, expected):
    done = subprocess.run([sys.executable, ROOT / "tools/fuzz.py", ROOT, "--plan", *words],
                          capture_output=True, text=True, check=False)
    tap.report(done.returncode == 2 and done.stderr.count("\n") == 1 and expected in done.stderr,
               f"refused: {' '.join(words)}", f"{done.returncode} {done.stderr}")


def words_are_read():
    for words, expected in ((["nothing"], "unknown target 'nothing'"), (["--eng", "afl"], "--eng"),
                            (["--engine=x"], "--engine"), (["--merge", "image"], "image")):
        refused(words, expected)
    for words, wanted in (([], fuzz.SECONDS), (["--until-quiet", "10m"], float("inf")),
                          (["--until-quiet=10m", "--seconds=5"], 5)):
        sys.argv = ["fuzz.py", "root", *words]
        found = fuzz.arguments().seconds
        tap.report(found == wanted, f"how long: {' '.join(words) or 'nothing said'}", found)


def merged(folder):
    """Who is chosen: the smallest with an edge; where those are too many, who brings the most."""
    edges = {}
    for name, found in ("a", "12"), ("bb", "123"), ("ccc", "23"), ("dddd", "456"), ("eeeee", "67"):
        path = pathlib.Path(folder, name)
        path.write_text(name)
        edges[str(path)] = set(found)
    for most, wanted, why in ((9, (["a", "bb", "dddd", "eeeee"], 0), "the smallest"),
                              (2, (["bb", "dddd"], 2), "those that bring the most")):
        chosen, left = fuzz.choose(edges, set("1"), most)
        found = (sorted(os.path.basename(path) for path in chosen), left)
        tap.report(found == wanted, f"merge: {why}", found)


def main():
    print("TAP version 13")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    words_are_read()
    with tempfile.TemporaryDirectory(prefix="fief-campaign-") as folder:
        figures(folder)
        merged(folder)
    with tempfile.TemporaryDirectory(prefix="fief-campaign-") as folder:
        tree = Tree(folder)
        for test, more in ((repeated, []), (broken, []), (interrupted, []),
                           (by_afl, [signal.SIGINT]), (by_afl, [signal.SIGTERM]),
                           (by_afl_killed, []), (without_seeds, []), (mended, [])):
            test(tree, *more)
            tree.clear()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
