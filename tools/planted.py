#!/usr/bin/env python3
"""Which bugs do the tests and the fuzzers find, when we plant them?

Each fuzz/planted/*.patch is one small bug in src/. It is applied to a copy of the tree in
build/planted, of which only what changed is compiled again, and these look for it, each in release
and in debug, from the committed corpus:

  tests      the unit tests, limits, model, same, faults, trouble, misuse, until one fails
  corpus     the driver replays corpus/, and the digests are compared with corpus/digests.txt
  libfuzzer  its targets in turns, one process at a time: first those that the changed file is
             nearest to, in slices that grow, until the seconds are over; what is found goes on
  afl        the same with AFL++, over a release and a debug build

The tree without a bug must pass tests and corpus first; a find that fails there, too, does not
count. A time is that of the search alone, in seconds; "-" and null: not found, or not looked for.

Exit status: 0 each bug was found by something that looked, 1 some bug was not, 2 usage.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace

import fuzz
import fuzz_engines
import patches

FINDERS = ["tests", "corpus", "libfuzzer", "afl"]
SECONDS = {"libfuzzer": 120, "afl": 300}
COPIED = ["src", "include", "tests", "fuzz", "corpus", "tools", "bench", "examples", "docs",
          "sanitizers", "README.md", "meson.build", "meson_options.txt"]
# The quick ones first; then those that wait for a child, or for each call to fail.
TESTS = ["arena", "stack", "pool", "heap", "runtime", "range", "stats", "reports", "records",
         "dangling", "fences", "limits", "model", "same", "json", "misuse", "faults", "trouble"]
# A build: its native file and what is changed of it. A warning about a bug is no find.
MODES = {"release": "none", "debug": "poison"}
ALWAYS = ["-Dwerror=false", "-Dbench=false", "-Dexamples=false", "-Dwarning_level=0"]
BUILDS = {f"{engine}{mode}": (ini or mode, f"-Dguard={guard}")
          for engine, ini in (("", None), ("fuzz-", None), ("afl-", "fuzz-afl"))
          for mode, guard in MODES.items()}
BUILDS = {name: (f"fuzz-{ini}" if name.startswith("fuzz-") else ini, guard)
          for name, (ini, guard) in BUILDS.items()}
NEEDS = {"tests": ["release", "debug"], "corpus": ["release", "debug"],
         "libfuzzer": ["release", "fuzz-release", "fuzz-debug"],
         "afl": ["release", "afl-release", "afl-debug"]}
# By the file that is changed: the targets that come first. The others follow.
NEAREST = {"arena": ["arena", "runtime"], "stack": ["stack", "arena"], "pool": ["pool", "runtime"],
           "heap": ["heap", "runtime"], "medium": ["heap", "runtime"],
           "table": ["table", "runtime"], "space": ["heap", "arena", "runtime"], "range": ["table", "runtime"],
           "graves": ["arena", "runtime"]}
USUAL = ["runtime", "heap", "arena", "pool", "stack", "oom", "table"]
FIRST_SLICE = 2


def say(*words):
    print(*words, file=sys.stderr, flush=True)


# ---- the copy, and what is built of it ----

class Copy:
    def __init__(self, source, root, finders):
        self.source, self.root = source, root
        self.builds = sorted({build for finder in finders for build in NEEDS[finder]})
        self.refresh()
        for build in self.builds:
            self.configure(build)

    def refresh(self):
        """What differs from the tree is copied: an interrupted run may have left a bug there."""
        for name in COPIED:
            given = self.source / name
            for file in sorted(path for path in [given, *given.rglob("*")]
                               if path.is_file() and "__pycache__" not in path.parts):
                copy = self.root / file.relative_to(self.source)
                if not copy.exists() or copy.read_bytes() != file.read_bytes():
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, copy)
                    shutil.copymode(file, copy)

    def folder(self, build):
        return self.root / "build" / build

    def configure(self, build):
        ini, guard = BUILDS[build]
        if not (self.folder(build) / "build.ninja").exists():
            command = ["meson", "setup", self.folder(build), "--native-file",
                       self.root / f"sanitizers/{ini}.ini", guard, *ALWAYS]
            must(command, self.root)

    def compiled(self):
        """None, or what the compiler says."""
        for build in self.builds:
            done = subprocess.run(["ninja", "-C", self.folder(build)], capture_output=True,
                                  text=True, check=False)
            if done.returncode != 0:
                return done.stdout
        return None

    def keep_control(self):
        """The engines' programs without a bug."""
        for build in self.builds:
            control = self.root / "control" / build
            shutil.rmtree(control, ignore_errors=True)
            control.mkdir(parents=True)
            for program in sorted((self.folder(build) / "fuzz").glob("fuzz-*")):
                if program.is_file():
                    shutil.copy(program, control)

    def make_seeds(self):
        for target in USUAL:
            fuzz.Place(str(self.root), target).write_seeds()

    def seeds(self, target):
        return pathlib.Path(fuzz.Place(str(self.root), target).seeds)


def must(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"planted: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


# ---- tests and corpus ----

def failing_test(copy, mode):
    """The first test that fails; None: all pass."""
    command = ["meson", "test", "-C", copy.folder(mode), "--no-rebuild", "--maxfail", "1",
               "--num-processes", "1", "--timeout-multiplier", "4"]
    known = subprocess.run([*command, "--list"], capture_output=True, text=True, check=True).stdout
    names = {line.rsplit("/", 1)[-1].strip() for line in known.splitlines()}
    done = subprocess.run([*command, *[name for name in TESTS if name in names]],
                          capture_output=True, text=True, check=False)
    failed = re.findall(r"/ (\w+) +(?:FAIL|ERROR|TIMEOUT)", done.stdout)
    return None if done.returncode == 0 else f"{(failed or ['?'])[0]} ({mode})"


def by_tests(copy, _bug, _seconds):
    return next(filter(None, (failing_test(copy, mode) for mode in MODES)), None)


def digests(copy, mode):
    """The digests of the corpus, as the committed file has them; None: the driver failed."""
    corpus = copy.root / "corpus"
    folders = [str(path) for path in sorted(corpus.iterdir()) if path.is_dir()]
    driver = copy.folder(mode) / "fuzz/fief-fuzz"
    for command in ([f"{driver}-oom", corpus / "oom"], [driver, "--digest", *folders]):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        except subprocess.TimeoutExpired:
            return None
        if done.returncode != 0:
            return None
    return sorted(line.replace(f"{corpus}/", "") for line in done.stdout.splitlines())


def by_corpus(copy, _bug, _seconds):
    expected = sorted((copy.root / "corpus/digests.txt").read_text(encoding="utf-8").splitlines())
    return next((mode for mode in MODES if digests(copy, mode) != expected), None)


# ---- engines ----

def targets_for(bug):
    nearest = []
    for file in bug.files:
        nearest += NEAREST.get(file.stem, [])
    return list(dict.fromkeys(nearest + USUAL))


def turns(bug, seconds):
    """(target, mode, slice) in turns; of each round the slices are twice as long."""
    slice_seconds, left = FIRST_SLICE, seconds
    while left > 0:
        for target in targets_for(bug):
            for mode in MODES:
                if left > 0:
                    yield target, mode, min(slice_seconds, left)
                    left -= slice_seconds
        slice_seconds *= 2


def fails(program, file):
    """Does the program end badly with this input?"""
    try:
        done = subprocess.run([program, file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def libfuzzer_turn(copy, target, mode, seconds, seed, work):
    """The inputs that failed."""
    crashes, corpus = work / "crashes", work / f"corpus-{target}-{mode}"
    shutil.rmtree(crashes, ignore_errors=True)
    for folder in (crashes, corpus):
        folder.mkdir(parents=True, exist_ok=True)
    place = fuzz.Place(str(copy.root), target)
    command = [place.binary(f"fuzz-{mode}"), *fuzz_engines.libfuzzer_flags(place), f"-seed={seed}",
               f"-max_total_time={seconds}", f"-artifact_prefix={crashes}/", corpus, place.seeds]
    subprocess.run([*command, "-timeout=5"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   timeout=seconds + 60, check=False)
    return sorted(crashes.iterdir())


AFL = {"AFL_NO_UI": "1", "AFL_SKIP_CPUFREQ": "1", "AFL_NO_AFFINITY": "1",
       "AFL_BENCH_UNTIL_CRASH": "1", "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1"}


def afl_turn(copy, target, mode, seconds, seed, work):
    """The same with AFL++: what it does not start with counts, too."""
    out, seeds = work / f"afl-{target}-{mode}", copy.seeds(target)
    program = copy.folder(f"afl-{mode}") / "fuzz" / f"fuzz-{target}"
    mutator = copy.folder("release") / "fuzz/libfief-afl-mutator.so"
    bad = [file for file in sorted(seeds.iterdir()) if fails(program, file)]
    if bad:
        return bad
    command = ["afl-fuzz", "-i", "-" if out.exists() else seeds, "-o", out, "-V", str(seconds),
               "-t", "2000", "-s", str(seed), "--", program]
    environment = {**os.environ, **AFL, "FIEF_FUZZ_TARGET": target,
                   "AFL_CUSTOM_MUTATOR_LIBRARY": str(mutator)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False,
                          errors="replace", timeout=seconds + 120)
    if not (out / "default/fuzzer_stats").exists(): # it never began
        if "crash" not in done.stdout:
            sys.exit(f"planted: afl-fuzz does not start\n{done.stdout[-2000:]}{done.stderr}")
        return sorted(seeds.iterdir())
    return sorted(path for kind in ("crashes", "hangs")
                  for path in (out / "default" / kind).glob("id*"))


def by_engine(copy, bug, seconds, turn, prefix):
    """Where it was found; an input that fails without the bug, too, is none."""
    work = copy.root / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    for seed, (target, mode, share) in enumerate(turns(bug, seconds), start=1):
        control = copy.root / "control" / f"{prefix}-{mode}" / f"fuzz-{target}"
        for file in turn(copy, target, mode, share, seed, work):
            if not fails(control, file):
                return f"{target} ({mode})"
            say(f"  {prefix}-{target} ({mode}) fails without the bug, too: {file}")
    return None


def by_libfuzzer(copy, bug, seconds):
    return by_engine(copy, bug, seconds, libfuzzer_turn, "fuzz")


def by_afl(copy, bug, seconds):
    return by_engine(copy, bug, seconds, afl_turn, "afl")


LOOKS = {"tests": by_tests, "corpus": by_corpus, "libfuzzer": by_libfuzzer, "afl": by_afl}


# ---- bugs ----

def look(copy, bug, finders, seconds):
    """{finder: true, false, seconds or None}; a finder that did not look is not in it."""
    found = {}
    for finder in finders:
        started = time.monotonic()
        where = LOOKS[finder](copy, bug, seconds.get(finder))
        spent = round(time.monotonic() - started, 1)
        timed = finder in SECONDS
        found[finder] = (spent if where else None) if timed else where is not None
        say(f"  {bug.name}: {finder} {'found it in ' + where if where else 'did not find it'}"
            f" ({spent} s)")
    return found


def plant(copy, bug, finders, seconds):
    changed = patches.applied(bug.patch, copy.root)
    if changed is None:
        sys.exit(f"planted: {bug.patch} does not apply")
    bug.files = changed
    try:
        complaint = copy.compiled()
        if complaint is not None:
            sys.exit(f"planted: {bug.patch} does not compile\n{complaint}")
        return look(copy, bug, finders, seconds)
    finally:
        patches.restored(changed, copy.root, copy.source)


def check_control(copy, finders):
    """Nothing is found where nothing is planted."""
    say("planted: building the tree without a bug")
    complaint = copy.compiled()
    if complaint is not None:
        sys.exit(f"planted: the tree does not compile\n{complaint}")
    copy.keep_control()
    copy.make_seeds()
    for finder in finders:
        where = LOOKS[finder](copy, None, None) if finder not in SECONDS else None
        if where:
            sys.exit(f"planted: without a bug {finder} fail in {where}")


def word(value):
    return {True: "yes", False: "-", None: "-"}.get(value, value)


def print_table(results, finders):
    width = max(len(name) for name in results)
    print(f"{'bug':{width}}" + "".join(f"{finder:>11}" for finder in finders))
    for name, found in results.items():
        print(f"{name:{width}}" + "".join(f"{word(found[finder]):>11}" for finder in finders))
    counts = [f"{finder} {sum(bool(f[finder]) for f in results.values())}" for finder in finders]
    missed = [name for name, found in results.items() if not any(found.values())]
    print(f"{len(results)} bugs: found by {', '.join(counts)}; by none {len(missed)}"
          f"{': ' + ' '.join(missed) if missed else ''}")


# ---- do they still apply ----

def compiles(source, scratch, changed):
    """The changed file, or of a header one file that includes it, against the debug guard."""
    files = [file for file in changed if file.suffix == ".c"]
    for header in (file for file in changed if file.suffix == ".h"):
        files += [next(file for file in sorted((scratch / "src").rglob("*.c"))
                       if f"{header.name}\"" in file.read_text(encoding="utf-8"))]
    command = [os.environ.get("CC", "gcc"), "-fsyntax-only", "-std=gnu11", "-D_GNU_SOURCE",
               "-I", source / "include", "-I", scratch / "src", "-I", scratch / "src/guard/poison"]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    return done.returncode == 0


def check_patches(source, scratch, bugs):
    """As TAP: each patch says what it breaks, applies, and compiles."""
    shutil.copytree(source / "src", scratch / "src")
    failed = 0
    for number, bug in enumerate(bugs, start=1):
        changed = patches.applied(bug.patch, scratch)
        told = patches.sentence(bug.patch).endswith(".")
        sound = changed is not None and told and compiles(source, scratch, changed)
        failed += not sound
        print(f"{'ok' if sound else 'not ok'} {number} - {bug.name}")
        if changed is None: # parts of it may be there
            shutil.rmtree(scratch / "src")
            shutil.copytree(source / "src", scratch / "src")
        else:
            patches.restored(changed, scratch, source)
    print(f"1..{len(bugs)}")
    return 1 if failed or not bugs else 0


# ---- the command ----

def parse(words):
    parser = argparse.ArgumentParser(prog="./dev planted", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a patch of fuzz/planted (all)")
    parser.add_argument("--with", dest="finders", default=",".join(FINDERS), metavar="FINDERS",
                        help=f"who looks, of {','.join(FINDERS)} (all)")
    parser.add_argument("--seconds", type=int, metavar="N",
                        help="for each engine and bug (libfuzzer 120, afl 300)")
    parser.add_argument("--json", action="store_true", help="one object a line, instead of a table")
    parser.add_argument("--scratch", type=pathlib.Path, metavar="FOLDER",
                        help="the copy, for a second run at a time (build/planted)")
    parser.add_argument("--check", type=pathlib.Path, metavar="SCRATCH",
                        help="as TAP: does each patch still apply and compile?")
    args = parser.parse_args(words)
    args.finders = args.finders.split(",")
    for finder in args.finders:
        if finder not in FINDERS:
            parser.error(f"unknown finder '{finder}' ({', '.join(FINDERS)})")
    if args.seconds is not None and args.seconds < 1:
        parser.error("--seconds is at least 1")
    return parser, args


def main(words):
    parser, args = parse(words)
    source = args.root.resolve()
    known = sorted((source / "fuzz/planted").glob("*.patch"))
    for name in args.names:
        if name not in {patch.stem for patch in known}:
            parser.error(f"no patch '{name}' in fuzz/planted")
    bugs = [SimpleNamespace(name=patch.stem, patch=patch, files=[]) for patch in known
            if not args.names or patch.stem in args.names]
    if args.check is not None:
        shutil.rmtree(args.check, ignore_errors=True)
        return check_patches(source, args.check, bugs)
    root = args.scratch.resolve() if args.scratch else source / "build/planted"
    copy = Copy(source, root, args.finders)
    check_control(copy, args.finders)
    results = {}
    seconds = {engine: args.seconds or most for engine, most in SECONDS.items()}
    for number, bug in enumerate(bugs, start=1):
        say(f"[{number}/{len(bugs)}] {patches.sentence(bug.patch)}")
        results[bug.name] = plant(copy, bug, args.finders, seconds)
        if args.json:
            found = {finder: results[bug.name].get(finder, None) for finder in FINDERS}
            print(json.dumps({"bug": bug.name, "found_by": found}), flush=True)
    if not args.json:
        print_table(results, args.finders)
    return 0 if all(any(found.values()) for found in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
