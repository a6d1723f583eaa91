#!/usr/bin/env python3
"""Runs .clusterfuzzlite/build.sh as OSS-Fuzz's base builder does, as TAP: clusterfuzz.py SOURCE-ROOT.

The names and zips in $OUT are looked at, and each target runs from there on its unpacked seeds.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

ROOT = os.path.abspath(sys.argv[1])
TARGETS = ["arena", "stack", "pool", "heap", "runtime", "table", "oom", "ops_text", "lox",
           "image"]
FLAGS = ("-O1 -fno-omit-frame-pointer -gline-tables-only "
         "-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION -fsanitize=fuzzer-no-link "
         "-fsanitize=address -fsanitize-address-use-after-scope")
count = failed = 0


def report(sound, name, detail=""):
    global count, failed
    count += 1
    failed += not sound
    print(f"{'ok' if sound else 'not ok'} {count} - {name}")
    for line in [] if sound else detail.strip().splitlines()[-20:]:
        print(f"# {line}")


def build(folder):
    source, out = os.path.join(folder, "src"), os.path.join(folder, "out")
    for path in (source, out, os.path.join(folder, "work")):
        os.mkdir(path)
    os.symlink(ROOT, os.path.join(source, "fief"))
    environment = {**os.environ, "CC": "clang", "CXX": "clang++", "CFLAGS": FLAGS, "CXXFLAGS": FLAGS,
                   "LIB_FUZZING_ENGINE": "-fsanitize=fuzzer", "SRC": source, "OUT": out,
                   "WORK": os.path.join(folder, "work"), "SANITIZER": "address"}
    done = subprocess.run(["bash", "-eu", os.path.join(ROOT, ".clusterfuzzlite", "build.sh")],
                          env=environment, capture_output=True, text=True)
    report(done.returncode == 0, "build.sh", done.stderr)
    return out


def check_target(out, name):
    seeds = os.path.join(out, name + ".seeds")
    with zipfile.ZipFile(os.path.join(out, name + "_seed_corpus.zip")) as packed:
        packed.extractall(seeds)
    report(len(os.listdir(seeds)) > 0, f"{name} has seeds")
    fixed = ["setarch", "-R"] if shutil.which("setarch") else []
    most = 1 << 16 if name == "image" else 256
    done = subprocess.run([*fixed, os.path.join(out, name), "-runs=200", f"-max_len={most}",
                           f"-dict={name}.dict", seeds], cwd=out, capture_output=True, text=True)
    report(done.returncode == 0, f"{name} runs from $OUT", done.stderr)


def main():
    if shutil.which("clang") is None:
        print("1..0 # SKIP clang is not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        out = build(folder)
        names = {name + end for name in TARGETS for end in ("", ".dict", "_seed_corpus.zip")}
        report(set(os.listdir(out)) == names, "targets, dictionaries and seeds, and nothing else",
               " ".join(sorted(set(os.listdir(out)) ^ names)))
        for name in TARGETS if not failed else []:
            check_target(out, name)
    print(f"1..{count}")
    sys.exit(failed != 0)


main()
