#!/usr/bin/env python3
"""Lox files that were compiled on other threads print what they print by themselves. Speaks TAP.

usage: workers.py LOX WORKERS
"""
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import end, report  # noqa: E402

SIZE = ["--files", "30", "--pieces", "40"]
NONSENSE = [["--threads"], ["--threads", "0"], ["--threads", "257"], ["--files", "1x"],
            ["--files", "-1"], ["--pieces", ""], ["--piece", "3"], ["3"]]


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          check=False)


def main():
    lox, workers = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        written = run(workers, "--write", folder, *SIZE)
        files = sorted(pathlib.Path(folder).iterdir(), key=lambda path: int(path.stem))
        report(written.returncode == 0 and len(files) == 30, "files are written", written.stderr)
        alone = [run(lox, path) for path in files]
    expected = "".join(done.stdout for done in alone)
    report(all(done.returncode == 0 for done in alone) and expected.count("file ") > 60,
           "each runs by itself", "".join(done.stderr for done in alone))
    for threads in (1, 2, 4):
        done = run(workers, "--threads", threads, "--print", *SIZE)
        report((done.returncode, done.stdout, done.stderr) == (0, expected, ""),
               f"compiled on {threads}, they print the same", done.stderr)
    done = run(workers, "--json", *SIZE)
    figures = json.loads(done.stdout or "{}")
    report(figures.get("files") == 30 and figures.get("blocks", 0) > 30 * 40 * 3,
           "figures as JSON", done.stdout + done.stderr)
    text = run(workers, *SIZE).stdout
    report([line.split()[0] for line in text.splitlines()] == ["compiled", "sent", "ran"],
           "figures as text", text)
    for arguments in NONSENSE:
        done = run(workers, *arguments)
        report(done.returncode == 64 and done.stdout == "" and done.stderr.count("\n") == 1,
               f"{arguments} is refused in one line", done.stdout + done.stderr)
    done = run(workers, "--write", "/nowhere/at/all", *SIZE)
    report(done.returncode == 74 and "can't be written" in done.stderr, "no folder", done.stderr)
    sys.exit(end())


main()
