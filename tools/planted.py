#!/usr/bin/env python3
"""Which bugs do the tests and the fuzzers find, when we plant them?

Each fuzz/planted/*.patch is one small bug in src/ or include/. It is applied to a copy of the tree in
build/planted, of which only what changed is compiled again, and these look for it, each in release
and in debug, from the committed corpus:

  tests      the unit tests, limits, model, same, faults, trouble, misuse, until one fails
  corpus     the driver replays corpus/, and the digests are compared with corpus/digests.txt
  libfuzzer  its targets in turns, one process at a time: first those that the changed file is
             nearest to, in slices that grow, until the seconds are over; the first find ends it
  afl        the same with AFL++, over a release and a debug build

The tree without a bug must pass tests and corpus first; a find that fails there, too, does not
count. An engine's seconds are CPU seconds, of all its processes, of one core: other work on the
machine makes a search longer, but neither better nor worse. A time is that of the search alone,
without what compiles; "-" and null: not found, or not looked for. --jobs N looks for N bugs at a
time, each in a copy of its own.

Exit status: 0 each bug was found by something that looked, 1 some bug was not, 2 usage, 130 Ctrl-C.
"""
import argparse
import ctypes
import json
import multiprocessing
import os
import pathlib
import re
import resource
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
          "packaging", "sanitizers", "LICENSE", "README.md", "meson.build", "meson_options.txt"]
# The quick ones first; then those that wait for a child, or for each call to fail.
TESTS = ["arena", "stack", "pool", "heap", "order", "dense", "runtime", "range", "warm", "stats",
         "reports", "records", "dangling", "fences", "seal", "keep", "image", "images", "parcel",
         "parcels", "nodes", "limits", "model", "same", "json", "misuse", "faults", "trouble"]
# A build: its native file and what is changed of it. A warning about a bug is no find.
MODES = {"release": "none", "debug": "poison"}
ALWAYS = ["-Dwerror=false", "-Dbench=false", "-Dexamples=false", "-Dtools=false",
          "-Dwarning_level=0"]
BUILDS = {f"{engine}{mode}": (ini or mode, f"-Dguard={guard}")
          for engine, ini in (("", None), ("fuzz-", None), ("afl-", "fuzz-afl"))
          for mode, guard in MODES.items()}
BUILDS = {name: (f"fuzz-{ini}" if name.startswith("fuzz-") else ini, guard)
          for name, (ini, guard) in BUILDS.items()}
DRIVERS = ["fuzz/fief-fuzz", "fuzz/fief-fuzz-oom"]
MUTATOR = "fuzz/libfief-afl-mutator.so"
# What is built for a finder, and which targets of it ([]: all); an engine's own when its turn comes.
NEEDS = {"tests": {mode: [] for mode in MODES}, "corpus": {mode: DRIVERS for mode in MODES},
         "libfuzzer": {}, "afl": {}}
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

class Broken(Exception):
    """The command cannot go on; its text says why."""


class Copy:
    def __init__(self, source, root, finders):
        self.source, self.root, self.finders = source, root, finders
        self.refresh()

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

    def build(self, build, targets):
        self.configure(build)
        done = subprocess.run(["ninja", "-C", self.folder(build), *targets], capture_output=True,
                              text=True, check=False)
        if done.returncode != 0:
            raise Broken(f"{build} does not compile\n{done.stdout}")

    def build_for(self, finder):
        for build, targets in NEEDS[finder].items():
            self.build(build, targets)

    def prepare(self):
        """Of the tree without a bug: the seeds, the mutator, and a copy of each engine's programs, to
        which a find is shown."""
        self.build("release", [*DRIVERS, MUTATOR])
        for target in USUAL:
            fuzz.Place(str(self.root), target).write_seeds()
        engines = [prefix for prefix, finder in (("fuzz", "libfuzzer"), ("afl", "afl"))
                   if finder in self.finders]
        for build in (f"{prefix}-{mode}" for prefix in engines for mode in MODES):
            self.build(build, [f"fuzz/fuzz-{target}" for target in USUAL])
            control = self.root / "control" / build
            shutil.rmtree(control, ignore_errors=True)
            control.mkdir(parents=True)
            for target in USUAL:
                shutil.copy(self.program(build, target), control)

    def program(self, build, target):
        return self.folder(build) / "fuzz" / f"fuzz-{target}"

    def seeds(self, target):
        return pathlib.Path(fuzz.Place(str(self.root), target).seeds)


def must(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Broken(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


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
    """The digests of the corpus, as the committed file has them; None: the driver failed. The driver
    leaves oom and image out."""
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


class Budget:
    """CPU seconds of this process's children, and of what they left behind."""

    def __init__(self, seconds):
        self.seconds, self.excused, self.start = seconds, 0.0, cpu_of_children()

    def spent(self):
        return cpu_of_children() - self.start - self.excused

    def left(self):
        return self.seconds - self.spent()

    def excuse(self, what, *args):
        """What it does is no part of the search."""
        before = cpu_of_children()
        result = what(*args)
        self.excused += cpu_of_children() - before
        return result


def cpu_of_children():
    adopted = True
    while adopted:
        try:
            adopted = os.waitpid(-1, os.WNOHANG) != (0, 0)
        except ChildProcessError:
            adopted = False
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def adopt_orphans():
    """Whom a dead engine leaves is waited for here, so that its CPU seconds are counted."""
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def turns(bug, budget):
    """(target, mode, slice) in turns; of each round the slices are twice as long."""
    slice_seconds, least = FIRST_SLICE, 1
    while True:
        for target in targets_for(bug):
            for mode in MODES:
                if budget.left() < least:
                    return
                yield target, mode, int(min(slice_seconds, budget.left()))
        slice_seconds *= 2


def fails(program, *files):
    """Does the program end badly with these inputs?"""
    try:
        done = subprocess.run([program, *files], stdout=subprocess.DEVNULL, check=False,
                              stderr=subprocess.DEVNULL, timeout=20 + len(files))
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
    command = [copy.program(f"fuzz-{mode}", target), *fuzz_engines.libfuzzer_flags(place),
               f"-seed={seed}", f"-max_total_time={seconds}", f"-artifact_prefix={crashes}/",
               corpus, place.seeds]
    subprocess.run([*command, "-timeout=5"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   timeout=seconds + 60, check=False)
    return sorted(crashes.iterdir())


AFL = {"AFL_NO_UI": "1", "AFL_SKIP_CPUFREQ": "1", "AFL_NO_AFFINITY": "1", "AFL_FAST_CAL": "1",
       "AFL_BENCH_UNTIL_CRASH": "1", "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1"}


def afl_turn(copy, target, mode, seconds, seed, work):
    """The same with AFL++: what it does not start with counts, too."""
    out, seeds = work / f"afl-{target}-{mode}", copy.seeds(target)
    program = copy.program(f"afl-{mode}", target)
    files = sorted(seeds.iterdir())
    if not out.exists() and fails(program, *files):
        return [file for file in files if fails(program, file)] or files
    command = ["afl-fuzz", "-i", "-" if out.exists() else seeds, "-o", out, "-V", str(seconds),
               "-t", "2000", "-s", str(seed), "--", program]
    environment = {**os.environ, **AFL, "FIEF_FUZZ_TARGET": target,
                   "AFL_CUSTOM_MUTATOR_LIBRARY": str(copy.folder("release") / MUTATOR)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False,
                          errors="replace", timeout=seconds + 120)
    if not (out / "default/fuzzer_stats").exists(): # it never began
        if "crash" not in done.stdout:
            raise Broken(f"afl-fuzz does not start\n{done.stdout[-2000:]}{done.stderr}")
        return files
    return sorted(path for kind in ("crashes", "hangs")
                  for path in (out / "default" / kind).glob("id*"))


def by_engine(copy, bug, seconds, turn, prefix):
    """Where it was found, and after how long; an input that fails without the bug, too, is none."""
    work, budget = copy.root / "work", Budget(seconds)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    for seed, (target, mode, share) in enumerate(turns(bug, budget), start=1):
        budget.excuse(copy.build, f"{prefix}-{mode}", [f"fuzz/fuzz-{target}"])
        control = copy.root / "control" / f"{prefix}-{mode}" / f"fuzz-{target}"
        for file in turn(copy, target, mode, share, seed, work):
            spent = budget.spent()
            if not budget.excuse(fails, control, file):
                return f"{target} ({mode})", spent
            say(f"  {bug.name}: {prefix}-{target} ({mode}) fails without the bug, too: {file}")
    return None, budget.spent()


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
        copy.build_for(finder)
        started, timed = time.monotonic(), finder in SECONDS
        where = LOOKS[finder](copy, bug, seconds.get(finder))
        where, spent = where if timed else (where, time.monotonic() - started)
        spent = round(spent, 1)
        found[finder] = (spent if where else None) if timed else where is not None
        say(f"  {bug.name}: {finder} {'found it in ' + where if where else 'did not find it'}"
            f" ({spent} s)")
    return found


def plant(copy, bug, finders, seconds):
    """The tree may be worked on meanwhile: what comes back is what the copy had."""
    before = {file: file.read_bytes() for file in patches.named_files(bug.patch, copy.root)}
    try:
        bug.files = patches.applied(bug.patch, copy.root)
        if bug.files is None:
            raise Broken("the patch does not apply")
        return look(copy, bug, finders, seconds)
    except Broken as error:
        raise Broken(f"{bug.name}: {error}") from None
    finally:
        for file, content in before.items():
            file.write_bytes(content)


def check_control(copy, finders):
    """Nothing is found where nothing is planted."""
    for finder in [finder for finder in finders if finder not in SECONDS]:
        copy.build_for(finder)
        where = LOOKS[finder](copy, None, None)
        if where:
            raise Broken(f"without a bug {finder} fail in {where}")
    copy.prepare()


# ---- who works on which ----

class Worker:
    """One process of --jobs, with its copy."""
    copy = None

    @classmethod
    def begin(cls, source, root, finders, numbers):
        cls.given = source, root / f"job-{numbers.get()}", finders
        adopt_orphans()

    @classmethod
    def work(cls, task):
        """(bug, what found it), or why the command ends."""
        bug, seconds = task
        try:
            if cls.copy is None:
                cls.copy = Copy(*cls.given)
                check_control(cls.copy, cls.copy.finders)
            say(f"{bug.name}: {patches.sentence(bug.patch)}")
            return bug.name, plant(cls.copy, bug, cls.copy.finders, seconds), None
        except Broken as error:
            return bug.name, None, str(error)


def results_of(source, root, bugs, args):
    """Each bug as it is done with."""
    numbers = multiprocessing.Queue()
    for number in range(args.jobs):
        numbers.put(number)
    seconds = {engine: args.seconds or most for engine, most in SECONDS.items()}
    say("planted: building the tree without a bug")
    with multiprocessing.Pool(args.jobs, Worker.begin,
                              (source, root, args.finders, numbers)) as pool:
        yield from pool.imap_unordered(Worker.work, [(bug, seconds) for bug in bugs])


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

def compiles(scratch, changed):
    """The changed file, or of a header one file that includes it, of a public one all that is in
    core/core.c, against the debug guard."""
    files = [file for file in changed if file.suffix == ".c"]
    for header in (file for file in changed if file.suffix == ".h"):
        includes = re.compile(rf'#include [<"].*\b{re.escape(header.name)}[>"]')
        files += [next((file for file in sorted((scratch / "src").rglob("*.c"))
                        if includes.search(file.read_text(encoding="utf-8"))),
                      scratch / "src/core/core.c")]
    command = [os.environ.get("CC", "gcc"), "-fsyntax-only", "-std=gnu11", "-D_GNU_SOURCE",
               "-I", scratch / "include", "-I", scratch / "src", "-I", scratch / "src/guard/poison"]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    return done.returncode == 0


def engine_builds(source, scratch):
    """A copy, as the fuzzers have it, links a target: what went wrong, or None."""
    try:
        Copy(source, scratch / "copy", []).build("fuzz-debug", ["fuzz/fuzz-table"])
    except Broken as broken:
        return broken
    return None


def copy_code(source, scratch):
    for folder in ("src", "include"):
        shutil.rmtree(scratch / folder, ignore_errors=True)
        shutil.copytree(source / folder, scratch / folder)


def check_patches(source, scratch, bugs):
    """As TAP: each patch says what it breaks, applies, and compiles; a copy links with an engine."""
    copy_code(source, scratch)
    failed = 0
    for number, bug in enumerate(bugs, start=1):
        changed = patches.applied(bug.patch, scratch)
        told = patches.sentence(bug.patch).endswith(".")
        sound = changed is not None and told and compiles(scratch, changed)
        failed += not sound
        print(f"{'ok' if sound else 'not ok'} {number} - {bug.name}")
        if changed is None: # parts of it may be there
            copy_code(source, scratch)
        else:
            patches.restored(changed, scratch, source)
    wrong = engine_builds(source, scratch)
    print(f"{'not ok' if wrong else 'ok'} {len(bugs) + 1} - a copy builds a target with libFuzzer")
    if wrong:
        say(wrong)
    print(f"1..{len(bugs) + 1}")
    return 1 if failed or wrong or not bugs else 0


# ---- the command ----

def parse(words):
    parser = argparse.ArgumentParser(prog="./dev planted", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a patch of fuzz/planted (all)")
    parser.add_argument("--with", dest="finders", default=",".join(FINDERS), metavar="FINDERS",
                        help=f"who looks, of {','.join(FINDERS)} (all)")
    parser.add_argument("--seconds", type=int, metavar="N",
                        help="CPU seconds for each engine and bug (libfuzzer 120, afl 300)")
    parser.add_argument("--jobs", type=int, default=1, metavar="J",
                        help="bugs at a time, each on one core (1)")
    parser.add_argument("--json", action="store_true", help="one object a line, instead of a table")
    parser.add_argument("--scratch", type=pathlib.Path, metavar="FOLDER",
                        help="the copy, for a second run at a time (build/planted)")
    parser.add_argument("--check", type=pathlib.Path, metavar="SCRATCH",
                        help="as TAP: does each patch still apply and compile, and a copy build?")
    args = parser.parse_args(words)
    args.finders = args.finders.split(",")
    for finder in args.finders:
        if finder not in FINDERS:
            parser.error(f"unknown finder '{finder}' ({', '.join(FINDERS)})")
    if args.jobs < 1 or (args.seconds is not None and args.seconds < 1):
        parser.error("--seconds and --jobs are at least 1")
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
    results, broken = {}, None
    try:
        for name, found, error in results_of(source, root, bugs, args):
            if error is not None:
                broken = error
                break
            results[name] = found
            if args.json:
                found = {finder: found.get(finder) for finder in FINDERS}
                print(json.dumps({"bug": name, "found_by": found}), flush=True)
    except KeyboardInterrupt:
        say(f"planted: interrupted after {len(results)} of {len(bugs)} bugs")
    if not args.json and results:
        print_table(dict(sorted(results.items())), args.finders)
    if broken is not None:
        sys.exit(f"planted: {broken}")
    if len(results) < len(bugs):
        return 130
    return 0 if all(any(found.values()) for found in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
