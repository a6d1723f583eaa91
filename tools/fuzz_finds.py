"""What ./dev fuzz does with an input that failed: the same find once, minimised, in a folder.

The folder is whole before anything is minimised, since that takes a while and may be interrupted.
A find is named for what was found, so that the same one again only counts. Its folder holds input,
program.ops (minimised by whole operations), repro.c, report.txt, report.json and how.txt; that of
lox program.lox (by whole lines) and no repro.c; those of ops_text and image the input alone.
"""
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time


# Targets whose input is no program of operations, nor a Lox text.
PLAIN = ("ops_text", "image")
HANG = "fuzz: expected an end, found none"
MINIMISE_SECONDS = 60
OPTIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "sanitizers")


def driver_of(root, mode, target):
    name = {"oom": "fief-fuzz-oom", "image": "fief-fuzz-image"}.get(target, "fief-fuzz")
    return os.path.join(root, "build", mode, "fuzz", name)


def replay_of(root, mode, target, path):
    """The command that runs an input without an engine."""
    driver = driver_of(root, mode, target)
    return [driver, path] if target == "image" else [driver, "--target", target, path]


def sanitizer_options(name):
    """Those of ./dev test, then the caller's. A report aborts: a mere exit status of 1, which is
    AddressSanitizer's own, says that the driver refuses its input."""
    with open(os.path.join(OPTIONS, f"{name.lower()}.options")) as file:
        words = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    given = os.environ.get(f"{name}_OPTIONS", "")
    return ":".join(words + ([given] if given else []) + ["abort_on_error=1"])


@functools.lru_cache(maxsize=1)
def fixed_addresses():
    """What ./dev puts before a command, too: else ASan's shadow is occupied now and then."""
    try:
        with open("/proc/sys/vm/mmap_rnd_bits") as file:
            bits = int(file.read())
        asked = ["setarch", "-R"] if bits > 28 else []
        return asked if not asked or subprocess.run([*asked, "true"], stderr=subprocess.DEVNULL,
                                                    check=False).returncode == 0 else []
    except (OSError, ValueError):
        return []


def attempt(command, seconds=30):
    """The report of a run that failed; None where it did not. In a session of its own, since
    Ctrl-C, which is for the campaign, would be taken for a crash."""
    environment = {**os.environ, "ASAN_OPTIONS": sanitizer_options("ASAN"),
                   "UBSAN_OPTIONS": sanitizer_options("UBSAN")}
    try:
        done = subprocess.run([*fixed_addresses(), *command], capture_output=True, timeout=seconds,
                              env=environment, start_new_session=True)
    except subprocess.TimeoutExpired:
        return HANG
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


def minimise(driver, target, lines, seconds=MINIMISE_SECONDS):
    """The fewest lines that still fail in the same way, as far as the time allows; None where they
    don't fail alone."""
    over = time.monotonic() + seconds
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
                if time.monotonic() > over:
                    return lines
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
    """Whole or not at all: a find may be interrupted at any moment."""
    path = os.path.join(folder, name)
    with open(path + ".new", "w", errors="surrogateescape") as file:
        file.write(text)
    os.replace(path + ".new", path)


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


def read_about(folder):
    with open(os.path.join(folder, "report.json")) as file:
        return json.load(file)


def write_about(root, folder, about, how):
    """how.txt, then report.json, which says that the folder is whole."""
    lines = [f"{name} {value}" for name, value in how.items()]
    lines += [f"seen {about['seen']}",
              f"reproduce ./dev replay {reproducer(root, folder)} --mode {about['mode']}"]
    write(folder, "how.txt", "\n".join(lines) + "\n")
    write(folder, "report.json", json.dumps(about) + "\n")


def read_how(folder):
    """The lines of how.txt that don't change."""
    with open(os.path.join(folder, "how.txt")) as file:
        pairs = [line.rstrip("\n").partition(" ")[::2] for line in file]
    return {name: value for name, value in pairs if name not in ("seen", "reproduce")}


def keep_find(root, target, path, report, how):
    """A folder for a find; returns its path and whether it is new. `how`: lines for how.txt."""
    mark = hashlib.sha1(shape(report).encode()).hexdigest()[:6]
    words = re.sub(r"[^a-z0-9]+", "-", shape(report).lower()).strip("-")[:48].strip("-")
    folder = os.path.join(root, "crashes", target, f"{words}-{mark}")
    if os.path.exists(os.path.join(folder, "report.json")):
        about = read_about(folder)
        about["seen"] += 1
        write_about(root, folder, about, read_how(folder))
        return folder, False
    os.makedirs(folder, exist_ok=True)
    shutil.copy(path, os.path.join(folder, "input"))
    write(folder, "report.txt", re.sub(r"^#\d+\s.*\n", "", report, flags=re.M))
    commit = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True,
                            text=True)
    about = {"schema": "fief-find/1", "target": target, "mode": how["mode"],
             "engine": how["engine"], "seen": 1, "fails_alone": target in PLAIN,
             "found": headline(report)}
    write_about(root, folder, about, {**how, "commit": commit.stdout.strip()})
    return folder, True


def minimise_find(root, target, folder):
    """Once for a find: the next time it is seen, where this was interrupted."""
    if target in PLAIN or os.path.exists(os.path.join(folder, program_name(target))):
        return
    about = read_about(folder)
    about["fails_alone"] = write_programs(folder, driver_of(root, about["mode"], target), target)
    write_about(root, folder, about, read_how(folder))


def reproducer(root, folder):
    names = [name for name in ("program.ops", "program.lox")
             if os.path.exists(os.path.join(folder, name))]
    name = names[0] if names else "input"
    return os.path.relpath(os.path.join(folder, name), root)
