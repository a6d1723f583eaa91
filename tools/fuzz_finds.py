"""What ./dev fuzz does with an input that failed: the same find once, minimised, in a folder.

A find is named for what was found, so that the same one again only counts. Its folder holds input,
program.ops (minimised by whole operations), repro.c, report.txt, report.json and how.txt; that of
lox program.lox (by whole lines) and no repro.c; those of ops_text and image the input alone.
"""
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile


# Targets whose input is no program of operations, nor a Lox text.
PLAIN = ("ops_text", "image")


def driver_of(root, mode, target):
    name = {"oom": "fief-fuzz-oom", "image": "fief-fuzz-image"}.get(target, "fief-fuzz")
    return os.path.join(root, "build", mode, "fuzz", name)


def replay_of(root, mode, target, path):
    """The command that runs an input without an engine."""
    driver = driver_of(root, mode, target)
    return [driver, path] if target == "image" else [driver, "--target", target, path]


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
    lines = [line.strip() for line in report.splitlines() if line.strip()]
    for line in lines:
        if line.startswith("fuzz: ") and "executions" not in line or "runtime error" in line:
            return line
    return next((line for line in lines if "SUMMARY" in line), lines[0] if lines else "a crash")


def shape(report):
    """What was found, without the numbers of this run."""
    line = re.sub(r"^fuzz: operation \d+, .*?\): ", "", headline(report))
    line = re.sub(r"0x[0-9a-f]+|\d+", "N", line)
    return re.sub(r"\b[bampkr]N\b", "it", line)


def program_name(target):
    return "program.lox" if target == "lox" else "program.ops"


def minimise(driver, target, lines):
    """The fewest lines that still fail in the same way; None where they don't fail alone."""
    with tempfile.TemporaryDirectory(prefix="fief-minimise-") as scratch:
        path = os.path.join(scratch, program_name(target))

        def fails(some):
            write(scratch, program_name(target), "\n".join(some) + "\n")
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
        return lines if wanted else None


def text_of(driver, target, path):
    if target == "lox":
        with open(path, errors="surrogateescape", newline="") as file:
            return file.read().split("\n")
    done = subprocess.run([driver, "--target", target, "--text", path], capture_output=True)
    return done.stdout.decode(errors="replace").splitlines()


def write(folder, name, text):
    with open(os.path.join(folder, name), "w", errors="surrogateescape") as file:
        file.write(text)


def write_programs(folder, driver, target):
    """False where the input does not fail alone, so that it is not minimised."""
    lines = text_of(driver, target, os.path.join(folder, "input"))
    least = minimise(driver, target, lines)
    program = os.path.join(folder, program_name(target))
    write(folder, program_name(target), "\n".join(least or lines) + "\n")
    if target == "lox":
        return least is not None
    with open(os.path.join(folder, "repro.c"), "wb") as file:
        subprocess.run([driver, "--target", target, "--c", program], stdout=file,
                       stderr=subprocess.DEVNULL, check=False)
    return least is not None


def count_again(folder, about):
    about["seen"] += 1
    write(folder, "report.json", json.dumps(about) + "\n")
    how = os.path.join(folder, "how.txt")
    with open(how) as file:
        text = re.sub(r"(?m)^seen \d+", f"seen {about['seen']}", file.read())
    write(folder, "how.txt", text)


def keep_find(root, target, path, report, how):
    """A folder for a find; returns its path and whether it is new. `how`: lines for how.txt."""
    mark = hashlib.sha1(shape(report).encode()).hexdigest()[:6]
    words = re.sub(r"[^a-z0-9]+", "-", shape(report).lower()).strip("-")[:48].strip("-")
    folder = os.path.join(root, "crashes", target, f"{words}-{mark}")
    seen_file = os.path.join(folder, "report.json")
    if os.path.exists(seen_file):
        with open(seen_file) as file:
            count_again(folder, json.load(file))
        return folder, False
    os.makedirs(folder, exist_ok=True)
    driver = driver_of(root, how["mode"], target)
    shutil.copy(path, os.path.join(folder, "input"))
    alone = target in PLAIN or write_programs(folder, driver, target)
    write(folder, "report.txt", re.sub(r"^#\d+\s.*\n", "", report, flags=re.M))
    about = {"schema": "fief-find/1", "target": target, "mode": how["mode"],
             "engine": how["engine"], "seen": 1, "fails_alone": alone, "found": headline(report)}
    write(folder, "report.json", json.dumps(about) + "\n")
    commit = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True)
    lines = [f"{name} {value}" for name, value in how.items()]
    lines += [f"commit {commit.stdout.strip()}", "seen 1",
              f"reproduce ./dev replay {reproducer(root, folder)} --mode {how['mode']}"]
    write(folder, "how.txt", "\n".join(lines) + "\n")
    return folder, True


def reproducer(root, folder):
    names = [name for name in ("program.ops", "program.lox")
             if os.path.exists(os.path.join(folder, name))]
    name = names[0] if names else "input"
    return os.path.relpath(os.path.join(folder, name), root)
