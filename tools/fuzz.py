#!/usr/bin/env python3
"""The fuzz campaign behind ./dev fuzz, ./dev show and ./dev replay.

    fuzz.py run ROOT TARGET... --engine E --mode M --seconds N --jobs J [--until-quiet N]
    fuzz.py merge ROOT TARGET...
    fuzz.py minimise DRIVER FILE OUT [--target T]

A find is minimised by whole operations, and gets a folder under crashes/ (input, program.ops, repro.c,
report.txt, report.json, how.txt), named for what was found: the same find again only counts. New
inputs stay in build/corpus/<target>; `merge` brings those with new coverage to corpus/ as texts.
"""
import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

TARGETS = ["arena", "stack", "pool", "heap", "runtime", "table", "oom", "ops_text"]
DRIVER_MODES = {"release": "release", "debug": "debug", "asan": "asan"}
SLOW, QUIET_WARNING = 500, 60


def driver_of(root, mode, target):
    name = "fief-fuzz-oom" if target == "oom" else "fief-fuzz"
    return os.path.join(root, "build", DRIVER_MODES[mode], "fuzz", name)


# ---- one input ----

def attempt(command, seconds=30):
    """The report of a run that failed; None where it did not."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return "fuzz: expected an end, found none"
    if done.returncode in (0, 1, 2):
        return None
    return done.stderr.decode(errors="replace") or f"ended by signal {-done.returncode}"


def headline(report):
    for line in report.splitlines():
        if line.startswith("fuzz:") or "SUMMARY" in line or "runtime error" in line:
            return line.strip()
    return report.strip().splitlines()[0] if report.strip() else "a crash"


def shape(report):
    """What was found, without the numbers of this run."""
    line = re.sub(r"^fuzz: operation \d+, .*?\): ", "", headline(report))
    line = re.sub(r"0x[0-9a-f]+|\d+", "N", line)
    return re.sub(r"\b[bampkr]N\b", "it", line)


def minimise(driver, target, lines):
    """The fewest lines that still fail in the same way."""
    path = f"/tmp/fief-minimise-{os.getpid()}.ops"

    def fails(some):
        with open(path, "w") as file:
            file.write("\n".join(some) + "\n")
        report = attempt([driver, "--target", target, path])
        return shape(report) if report else None

    wanted = fails(lines)
    step = len(lines) // 2 if wanted else 0
    while step >= 1:
        at = 0
        while at < len(lines):
            shorter = lines[:at] + lines[at + step:]
            if shorter and fails(shorter) == wanted:
                lines = shorter
            else:
                at += step
        step //= 2
    if os.path.exists(path):
        os.remove(path)
    return lines if wanted else None


def text_of(driver, target, path):
    done = subprocess.run([driver, "--target", target, "--text", path], capture_output=True)
    return done.stdout.decode(errors="replace").splitlines()


def keep_find(root, args, target, path, report):
    """A folder for a find; returns its path and whether it is new."""
    mark = hashlib.sha1(shape(report).encode()).hexdigest()[:6]
    words = re.sub(r"[^a-z0-9]+", "-", shape(report).lower()).strip("-")[:48].strip("-")
    folder = os.path.join(root, "crashes", target, f"{words}-{mark}")
    seen_file = os.path.join(folder, "report.json")
    if os.path.exists(seen_file):
        with open(seen_file) as file:
            about = json.load(file)
        about["seen"] += 1
        with open(seen_file, "w") as file:
            json.dump(about, file)
        return folder, False
    os.makedirs(folder, exist_ok=True)
    driver = driver_of(root, args.mode, target)
    shutil.copy(path, os.path.join(folder, "input"))
    if target != "ops_text" and os.path.exists(driver):
        lines = text_of(driver, target, path)
        program = os.path.join(folder, "program.ops")
        with open(program, "w") as file:
            file.write("\n".join(minimise(driver, target, lines) or lines) + "\n")
        with open(os.path.join(folder, "repro.c"), "wb") as file:
            subprocess.run([driver, "--target", target, "--c", program], stdout=file, check=False)
    with open(os.path.join(folder, "report.txt"), "w") as file:
        file.write(report)
    with open(seen_file, "w") as file:
        json.dump({"target": target, "mode": args.mode, "engine": args.engine, "seen": 1,
                   "found": headline(report)}, file)
    commit = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True)
    with open(os.path.join(folder, "how.txt"), "w") as file:
        file.write(f"engine {args.engine}\nmode {args.mode}\nseed {args.seed}\n"
                   f"commit {commit.stdout.strip()}\n"
                   f"reproduce ./dev replay {os.path.relpath(folder, root)}/program.ops\n")
    return folder, True


# ---- libFuzzer ----

def seeds_of(root, target, folder):
    """The committed corpus as bytes; returns how many."""
    os.makedirs(folder, exist_ok=True)
    source, count = os.path.join(root, "corpus", target), 0
    for name in sorted(os.listdir(source)) if os.path.isdir(source) else []:
        path, out = os.path.join(source, name), os.path.join(folder, name)
        if name.endswith(".ops") and target != "ops_text":
            driver = driver_of(root, "release", target)
            with open(out, "wb") as file:
                subprocess.run([driver, "--target", target, "--bytes", path], stdout=file, check=True)
        else:
            shutil.copy(path, out)
        count += 1
    return count


def libfuzzer_command(root, args, target, crashes, work, seeds):
    return [os.path.join(root, "build", f"fuzz-{args.mode}", "fuzz", f"fuzz-{target}"),
            "-max_len=256", "-len_control=0", "-entropic=0", "-reduce_inputs=0", "-timeout=20",
            f"-seed={args.seed}", f"-max_total_time={args.seconds}", f"-artifact_prefix={crashes}/",
            work, seeds]


class Progress:
    """What the engine's lines say, and a line a second, or at each doubling of time."""

    def __init__(self, args, target):
        self.args, self.target = args, target
        self.start = self.last_new = time.monotonic()
        self.runs = self.edges = self.first_edges = self.corpus = self.rate = self.finds = 0
        self.next_line = 1

    def take(self, line):
        numbers = re.match(r"#(\d+)\s+\w+\s+cov: (\d+).* corp: (\d+)/.*exec/s: (\d+)", line)
        if numbers:
            self.runs, edges, self.corpus, self.rate = map(int, numbers.groups())
            if edges > self.edges:
                self.last_new, self.first_edges = time.monotonic(), self.first_edges or edges
            self.edges = edges

    def line(self):
        spent = int(time.monotonic() - self.start)
        quiet = int(time.monotonic() - self.last_new)
        return (f"{self.target} {self.args.mode} {self.args.engine}  {spent // 60}m{spent % 60:02}s  "
                f"{self.rate:,}/s  edges {self.edges:,} (new {quiet}s ago)  finds {self.finds}")

    def show(self):
        spent = time.monotonic() - self.start
        if spent >= self.next_line:
            end = "\r" if sys.stderr.isatty() else "\n"
            print(self.line(), end=end, file=sys.stderr, flush=True)
            self.next_line = spent + 1 if sys.stderr.isatty() else 2 * self.next_line

    def quiet(self):
        return time.monotonic() - self.last_new

    def summary(self, why):
        spent = max(int(time.monotonic() - self.start), 1)
        print(f"{self.target} {self.args.mode} {self.args.engine}  stopped after {spent // 60}m"
              f"{spent % 60:02}s: {why}")
        print(f"  {self.runs:,} executions, {self.runs // spent:,}/s   edges {self.first_edges:,} -> "
              f"{self.edges:,}   corpus {self.corpus:,}")
        if self.runs // spent < SLOW:
            print(f"  under {SLOW} a second: a sanitizer, a debug build, or a busy machine")
        if self.quiet() > QUIET_WARNING:
            print(f"  last new edge {int(self.quiet()) // 60}m ago: more time on this target is unlikely"
                  " to help")


def run_once(root, args, target, progress, left):
    """One life of the engine; returns why it ended, or None after a find."""
    crashes = os.path.join(root, "build", "crashes", target)
    work = os.path.join(root, "build", "corpus", target)
    seeds = os.path.join(root, "build", "seeds", target)
    for folder in (crashes, work):
        os.makedirs(folder, exist_ok=True)
    shutil.rmtree(seeds, ignore_errors=True)
    seeds_of(root, target, seeds)
    before = set(os.listdir(crashes))
    command = libfuzzer_command(root, args, target, crashes, work, seeds)
    command = [f"-max_total_time={left}" if w.startswith("-max_total_time") else w for w in command]
    engine = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    tail = []
    for raw in engine.stderr:
        line = raw.decode(errors="replace")
        progress.take(line)
        progress.show()
        tail = (tail + [line])[-200:]
        if args.until_quiet and progress.quiet() > args.until_quiet:
            engine.send_signal(signal.SIGINT)
    engine.wait()
    for name in sorted(set(os.listdir(crashes)) - before):
        progress.finds += 1
        folder, new = keep_find(root, args, target, os.path.join(crashes, name), "".join(tail))
        if new:
            print(f"\n{target}: {headline(''.join(tail))}\n    reproduce  ./dev replay "
                  f"{os.path.relpath(folder, root)}/program.ops", file=sys.stderr)
    args.seed += 1
    if engine.returncode != 0 and not args.until_quiet:
        return None
    return "no new edge" if args.until_quiet and progress.quiet() > args.until_quiet else "time budget"


def campaign(root, args, target):
    progress, why = Progress(args, target), None
    try:
        while why is None:
            left = int(args.seconds - (time.monotonic() - progress.start))
            why = run_once(root, args, target, progress, left) if left > 0 else "time budget"
    except KeyboardInterrupt:
        why = "interrupted"
    progress.summary(why)
    if progress.finds:
        print(f"  finds {progress.finds}   see crashes/{target}")
    return progress.finds, why == "interrupted"


# ---- merge ----

def merge(root, args, target):
    """Inputs with coverage that the committed corpus lacks, as texts named for their contents."""
    fresh, old = os.path.join(root, "build", "corpus", target), os.path.join(root, "build", "merged", target)
    shutil.rmtree(old, ignore_errors=True)
    seeds = seeds_of(root, target, old)
    if not os.path.isdir(fresh):
        print(f"{target}: nothing to merge")
        return
    have = set(os.listdir(old))
    engine = os.path.join(root, "build", f"fuzz-{args.mode}", "fuzz", f"fuzz-{target}")
    subprocess.run([engine, "-merge=1", "-max_len=256", old, fresh], stderr=subprocess.DEVNULL, check=False)
    added = sorted(set(os.listdir(old)) - have)
    for name in added:
        path = os.path.join(old, name)
        out = os.path.join(root, "corpus", target, f"found-{name[:12]}")
        if target == "ops_text":
            shutil.copy(path, out)
        else:
            with open(out + ".ops", "w") as file:
                file.write("\n".join(text_of(driver_of(root, "release", target), target, path)) + "\n")
    print(f"{target}: corpus {seeds} -> {seeds + len(added)}")


def main():
    parser = argparse.ArgumentParser(prog="./dev fuzz")
    parser.add_argument("root")
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--engine", choices=["libfuzzer", "afl"], default="libfuzzer")
    parser.add_argument("--mode", choices=["release", "debug", "asan"], default="debug")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--until-quiet", type=int, default=0, metavar="SECONDS")
    parser.add_argument("--merge", action="store_true")
    args = parser.parse_args()
    unknown = [t for t in args.targets if t not in TARGETS]
    if unknown:
        parser.error(f"unknown target '{unknown[0]}' ({', '.join(TARGETS)})")
    if args.engine == "afl":
        parser.error("the campaign over AFL++ is not written yet; docs/fuzzing.md starts it by hand")
    finds, stopped = 0, False
    for target in args.targets or TARGETS:
        if args.merge:
            merge(args.root, args, target)
        elif not stopped:
            found, stopped = campaign(args.root, args, target)
            finds += found
    sys.exit(130 if stopped else 1 if finds else 0)


if __name__ == "__main__":
    main()
