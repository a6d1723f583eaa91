#!/usr/bin/env python3
"""Lox files that were compiled on other threads print what they print by themselves. Speaks TAP.

usage: workers.py LOX WORKERS
"""
import json
import pathlib
import subprocess
import sys
import tempfile

SIZE = ["--files", "30", "--pieces", "40"]
NONSENSE = [["--threads"], ["--threads", "0"], ["--threads", "257"], ["--files", "1x"],
            ["--files", "-1"], ["--pieces", ""], ["--piece", "3"], ["3"]]

count, failed = 0, 0


def check(good, what, detail=""):
    global count, failed
    count += 1
    failed += not good
    print("ok" if good else "not ok", count, "-", what)
    if not good:
        print("".join(f"# {line}\n" for line in detail.splitlines()), end="")


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          check=False)


def main():
    lox, workers = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        written = run(workers, "--write", folder, *SIZE)
        files = sorted(pathlib.Path(folder).iterdir(), key=lambda path: int(path.stem))
        check(written.returncode == 0 and len(files) == 30, "files are written", written.stderr)
        alone = [run(lox, path) for path in files]
    expected = "".join(done.stdout for done in alone)
    check(all(done.returncode == 0 for done in alone) and expected.count("file ") > 60,
          "each runs by itself", "".join(done.stderr for done in alone))
    for threads in (1, 2, 4):
        done = run(workers, "--threads", threads, "--print", *SIZE)
        check((done.returncode, done.stdout, done.stderr) == (0, expected, ""),
              f"compiled on {threads}, they print the same", done.stderr)
    done = run(workers, "--json", *SIZE)
    figures = json.loads(done.stdout or "{}")
    check(figures.get("files") == 30 and figures.get("blocks", 0) > 30 * 40 * 3,
          "figures as JSON", done.stdout + done.stderr)
    text = run(workers, *SIZE).stdout
    check([line.split()[0] for line in text.splitlines()] == ["compiled", "sent", "ran"],
          "figures as text", text)
    for arguments in NONSENSE:
        done = run(workers, *arguments)
        check(done.returncode == 64 and done.stdout == "" and done.stderr.count("\n") == 1,
              f"{arguments} is refused in one line", done.stdout + done.stderr)
    done = run(workers, "--write", "/nowhere/at/all", *SIZE)
    check(done.returncode == 74 and "can't be written" in done.stderr, "no folder", done.stderr)
    print(f"1..{count}")
    sys.exit(failed != 0)


main()
