#!/usr/bin/env python3
"""The fuzz campaign behind ./dev fuzz.

    fuzz.py ROOT [TARGET...] [--engine E] [--mode M] [--seconds N] [--jobs J] [--until-quiet TIME]
    fuzz.py ROOT --merge [TARGET...]

New inputs stay in build/fuzz-corpus/<target>; `--merge` brings those with new coverage to
corpus/<target>/seeds as bytes, so many that a replay of all stays short. A find gets a folder under
crashes/ (fuzz_finds.py). The engines are in fuzz_engines.py.

Whoever asks it to end (Ctrl-C, SIGTERM, SIGHUP) gets the summary, and all that was found is kept.
"""
import argparse
import contextlib
import fcntl
import hashlib
import math
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

from fuzz_engines import ENGINES, INPUT_MOST, PROGRAMS
from fuzz_finds import (attempt, driver_of, headline, keep_find, minimise_find, replay_of,
                        reproducer)

TARGETS = ["arena", "stack", "pool", "heap", "runtime", "table", "oom", "ops_text", "lox", "image"]
SLOW, QUIET, SEEDS_MOST, LOX_SEEDS_MOST = 500, 60, 150, 80
SECONDS = 60
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Place:
    """Where a target's campaign keeps things, all under build/: what it found new together with
    those of other modes, the rest by itself, since they may run side by side."""

    def __init__(self, root, target, alone="merge"):
        self.root, self.target = root, target
        self.work = os.path.join(root, "build", "fuzz-corpus", target)
        self.scratch = os.path.join(root, "build", "fuzz-scratch", target, alone)
        self.seeds = os.path.join(self.scratch, "seeds")
        self.committed = os.path.join(root, "corpus", target)
        self.programs = os.path.join(root, "tests", "lox", "programs") if target == "lox" else None
        dictionary = os.path.join(root, "fuzz", "dict", f"{target}.dict")
        self.dictionary = dictionary if os.path.exists(dictionary) else None
        os.makedirs(self.work, exist_ok=True)
        os.makedirs(self.scratch, exist_ok=True)

    def binary(self, build):
        return os.path.join(self.root, "build", build, "fuzz", f"fuzz-{self.target}")

    @contextlib.contextmanager
    def held(self):
        """Two of the same at once would take each other's files."""
        with open(os.path.join(self.scratch, "lock"), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RuntimeError("the same campaign runs already; --jobs gives it more") from None
            yield

    def write_seeds(self):
        """The committed corpus as bytes; returns how many. Lox's tests are seeds, too."""
        shutil.rmtree(self.seeds, ignore_errors=True)
        os.makedirs(self.seeds)
        return self.write_named(self.seeds) + self.write_kept(self.seeds)

    def write_named(self, folder):
        """What stays as it is: the files that somebody named, and what is made anew each time."""
        if self.target == "image":
            subprocess.run([driver_of(self.root, "release", "image"), "--make",
                            os.path.join(folder, "sound")], check=True)
        count = self.write_programs(folder) if self.programs else int(self.target == "image")
        names = sorted(os.listdir(self.committed)) if os.path.isdir(self.committed) else []
        for name in names:
            path, out = os.path.join(self.committed, name), os.path.join(folder, name)
            if not os.path.isfile(path):
                continue
            if name.endswith(".ops") and self.target != "ops_text":
                driver = driver_of(self.root, "release", self.target)
                with open(out, "wb") as file:
                    subprocess.run([driver, "--target", self.target, "--bytes", path],
                                   stdout=file, check=True)
            else:
                shutil.copy(path, out)
            count += 1
        return count

    def write_kept(self, folder):
        """What merges brought."""
        kept = os.path.join(self.committed, "seeds")
        names = os.listdir(kept) if os.path.isdir(kept) else []
        for name in names:
            shutil.copy(os.path.join(kept, name), os.path.join(folder, name))
        return len(names)

    def write_programs(self, folder):
        """The short ones, without their comments, which say what they print."""
        count = 0
        for path in sorted(pathlib.Path(self.programs).rglob("*.lox")):
            text = re.sub(rb"//.*", b"", path.read_bytes())
            if len(text) <= INPUT_MOST["lox"]:
                name = "-".join(path.relative_to(self.programs).parts)
                pathlib.Path(folder, name).write_bytes(text)
                count += 1
        return count


# ---- what is shown ----

def duration(seconds):
    seconds = int(seconds)
    if seconds < 60:
        return f"{seconds}s"
    return f"{seconds // 60}m{seconds % 60:02}s" if seconds < 3600 else \
        f"{seconds // 3600}h{seconds % 3600 // 60:02}m"


class Progress:
    """A line a second on a terminal; elsewhere at each doubling of time and at each find."""

    def __init__(self, args, target):
        self.args, self.target = args, target
        self.start = self.last_new = time.monotonic()
        self.runs = self.rate = self.edges = self.first_edges = self.corpus = self.first_corpus = 0
        self.finds, self.seen, self.next_line, self.warned = {}, 0, 1, set()

    def spent(self):
        return time.monotonic() - self.start

    def quiet(self):
        return time.monotonic() - self.last_new

    def take(self, figures):
        self.runs, self.rate, edges, self.corpus = figures
        if edges > self.edges:
            self.last_new = time.monotonic()
            self.edges = edges
        if not self.first_edges and edges:
            self.first_edges, self.first_corpus = edges, self.corpus

    def say(self, text):
        print(("\r\033[K" if sys.stderr.isatty() else "") + text, file=sys.stderr, flush=True)

    def line(self):
        return (f"{self.target} {self.args.mode} {self.args.engine}  {duration(self.spent())}  "
                f"{self.rate:,}/s  edges {self.edges:,} (new {duration(self.quiet())} ago)  "
                f"corpus {self.corpus:,}  finds {len(self.finds)}")

    def show(self):
        self.warn()
        if sys.stderr.isatty():
            print("\r\033[K" + self.line(), end="", file=sys.stderr, flush=True)
        elif self.spent() >= self.next_line:
            print(self.line(), file=sys.stderr, flush=True)
            self.next_line *= 2

    def warn(self):
        if self.spent() > 20 and 0 < self.rate < SLOW and "slow" not in self.warned:
            self.warned.add("slow")
            self.say(f"  warning: under {SLOW} executions a second: {self.why_slow()}")
        if self.quiet() > QUIET and "quiet" not in self.warned:
            self.warned.add("quiet")
            self.say("  warning: no new edge in a minute: the target is explored as far as this "
                     "engine and mode go; try another of either, or --jobs")

    def why_slow(self):
        load, cores = os.getloadavg()[0], os.cpu_count() or 1
        if load > cores + 1:
            return f"the machine is busy (load {load:.1f} on {cores} cores)"
        return "a sanitizer watches" if self.args.mode == "asan" else \
            "the programs are large or map pages anew; try --mode release"

    def found(self, root, folder, new, report):
        self.seen += 1
        if folder not in self.finds:
            self.say(f"{self.target}: {'found' if new else 'found again'}: {headline(report)}")
        self.finds[folder] = reproducer(root, folder)

    def summary(self, why, average):
        """All on stdout: it is the result."""
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        spent = max(self.spent(), 0.001)
        print(f"{self.target} {self.args.mode} {self.args.engine}  stopped after "
              f"{duration(spent)}: {why}")
        mean = f", {average} operations on average" if average else ""
        print(f"  {self.runs:,} executions, {int(self.runs / spent):,}/s{mean}")
        print(f"  edges {self.first_edges:,} -> {self.edges:,}   "
              f"corpus {self.first_corpus:,} -> {self.corpus:,}")
        if self.quiet() > QUIET:
            print(f"  last new edge {duration(self.quiet())} ago: more time on this target is "
                  "unlikely to help")
        print(f"  finds {len(self.finds)} (seen {self.seen} times)   "
              f"merge new inputs: ./dev fuzz --merge {self.target}")
        for path in self.finds.values():
            print(f"    reproduce  ./dev replay {path} --mode {self.args.mode}")
        sys.stdout.flush()


# ---- a campaign ----

@contextlib.contextmanager
def undisturbed():
    """Nobody ends what is done here; the list says whether somebody asked to."""
    asked = []
    before = {number: signal.getsignal(number) for number in ENDS}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, lambda number, _: asked.append(number))
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def report_of(place, args, engine, find):
    """What an input that failed says; None where an earlier campaign left it and it fails no more,
    as when the bug is mended."""
    alone = find.report or attempt(replay_of(place.root, args.mode, place.target, find.path))
    if alone or find not in engine.left:
        return alone or "a crash under the engine alone"
    return attempt([place.binary(engine.build()), find.path])


def take_finds(place, args, engine, progress, minimised=True):
    """Each is kept before the next one is looked at, and minimised when it is kept."""
    while engine.pending:
        find = engine.pending[0]
        report = report_of(place, args, engine, find)
        if report is None:
            progress.say(f"{place.target}: an input that an earlier campaign left fails no more")
            engine.done(find)
            continue
        how = {"engine": args.engine, "mode": args.mode, "flags": " ".join(engine.flags()),
               "seed": "unknown" if find.seed is None else find.seed}
        folder, new = keep_find(place.root, place.target, find.path, report, how)
        engine.done(find)
        progress.found(place.root, folder, new, report)
        if minimised:
            minimise_find(place.root, place.target, folder)
            progress.finds[folder] = reproducer(place.root, folder)


def watch(place, args, engine, progress):
    """Until the time is over; says why it ended."""
    place.write_seeds()
    engine.begin()
    while progress.spent() < args.seconds:
        take_finds(place, args, engine, progress)
        if engine.failed:
            raise RuntimeError(engine.failed)
        time.sleep(0.5)
        progress.take(engine.figures())
        engine.poll()
        progress.show()
        if args.until_quiet and progress.quiet() > args.until_quiet:
            return f"no new edge in {duration(args.until_quiet)}"
    return "time budget"


def finish(place, args, engine, progress, why):
    """What the engine leaves is kept, whoever asks for the end; then nothing more is minimised."""
    with undisturbed() as asked:
        engine.stop()
        progress.take(engine.figures())
        engine.poll(again=False)
    stopped = bool(asked) or why == "interrupted"
    try:
        if not stopped:
            take_finds(place, args, engine, progress)
    except KeyboardInterrupt:
        stopped = True
    with undisturbed():
        take_finds(place, args, engine, progress, minimised=False)
    return "interrupted" if stopped else why


def campaign(root, args, target):
    """How many finds, and whether somebody stopped it."""
    place = Place(root, target, f"{args.engine}-{args.mode}")
    failed = None
    with place.held():
        progress = Progress(args, target)
        engine = ENGINES[args.engine](place, args, args.seed)
        try:
            why = watch(place, args, engine, progress)
        except KeyboardInterrupt:
            why = "interrupted"
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            why, failed = "the engine failed", error
        why = finish(place, args, engine, progress, why)
        progress.summary(why, engine.average())
    if failed:
        raise RuntimeError(failed)
    return len(progress.finds), why == "interrupted"


# ---- merge ----

def short_name(path):
    with open(path, "rb") as file:
        return hashlib.sha1(file.read()).hexdigest()[:12]


def features_of(path):
    """{input: its edges} from the file by which a merge survives crashes; None for those that have
    none since they crashed."""
    with open(path, errors="surrogateescape") as file:
        lines = file.read().split("\n")
    names = lines[2:2 + int(lines[0])]
    edges = dict.fromkeys(names)
    for words in (line.split() for line in lines[2 + len(names):]):
        if words and words[0] == "FT":
            edges[names[int(words[1])]] = set(words[2:])
    return edges


def union(sets):
    return set().union(*sets)


def choose(edges, base, most):
    """The smallest first, each that brings an edge. Where those are too many, those that bring the
    most: the large ones that bring little are left out. Returns also how many are."""
    chosen, seen = [], set(base)
    for path in sorted(edges, key=lambda path: (os.path.getsize(path), path)):
        if edges[path] - seen:
            chosen.append(path)
            seen |= edges[path]
    left, chosen, seen = chosen, [], set(base)
    if len(left) <= most:
        return left, 0
    while len(chosen) < most:
        best = max(left, key=lambda path: (len(edges[path] - seen), -os.path.getsize(path)))
        left.remove(best)
        chosen.append(best)
        seen |= edges[best]
    return chosen, len(left)


def edges_by_engine(place, named, kept):
    """All edges of each input, of the debug build, which has the most of them; -merge=1 would say
    only those that no input before it has."""
    control, out = os.path.join(place.scratch, "control"), os.path.join(place.scratch, "out")
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    pathlib.Path(control).unlink(missing_ok=True)
    done = subprocess.run([place.binary("fuzz-debug"), "-set_cover_merge=1", "-use_counters=0",
                           f"-merge_control_file={control}",
                           f"-max_len={INPUT_MOST.get(place.target, 1024)}", out, named, kept,
                           place.work], capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"the merge failed:\n{done.stderr.decode(errors='replace')[-400:]}")
    return features_of(control)


def replace_seeds(place, chosen):
    """The new folder is whole before the old one goes."""
    folder = os.path.join(place.committed, "seeds")
    fresh = folder + ".new"
    shutil.rmtree(fresh, ignore_errors=True)
    os.makedirs(fresh)
    for path in chosen:
        shutil.copy(path, os.path.join(fresh, short_name(path)))
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(fresh, folder)


def merge(root, target):
    """corpus/<target>/seeds anew, from what it holds and what campaigns found: few and small inputs
    with all edges. What somebody named stays, and its edges need no other input."""
    place = Place(root, target)
    named, kept = os.path.join(place.scratch, "named"), os.path.join(place.scratch, "kept")
    for folder in (named, kept):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
    place.write_named(named)
    before = place.write_kept(kept)
    edges = edges_by_engine(place, named, kept)
    fail = sum(found is None for found in edges.values())
    edges = {path: found for path, found in edges.items() if found is not None}
    base = union(found for path, found in edges.items() if os.path.dirname(path) == named)
    had = base | union(found for path, found in edges.items() if os.path.dirname(path) == kept)
    edges = {path: found for path, found in edges.items() if os.path.dirname(path) != named}
    chosen, left = choose(edges, base, LOX_SEEDS_MOST if target == "lox" else SEEDS_MOST)
    have = base | union(edges[path] for path in chosen)
    more = (f", {left} that bring the least left out" if left else "") + \
        (f", {fail} fail: ./dev fuzz {target} finds them again" if fail else "")
    if not have or len(have) < len(had):
        print(f"{target}: the seeds stay as they are: a merge would have fewer edges{more}")
        return
    replace_seeds(place, chosen)
    print(f"{target}: seeds {before} -> {len(chosen)}   edges {len(had):,} -> {len(have):,}{more}")


def write_digests(root):
    """corpus/digests.txt anew, as fuzz/check.py compares it."""
    corpus = os.path.join(root, "corpus")
    folders = sorted(entry.path for entry in os.scandir(corpus) if entry.is_dir())
    done = subprocess.run([driver_of(root, "release", "all"), "--digest", *folders],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"the corpus does not replay: {done.stderr.strip()[-400:]}")
    rows = [line.split("  ", 1) for line in done.stdout.splitlines()]
    rows = sorted((os.path.relpath(path, corpus), digest) for digest, path in rows)
    with open(os.path.join(corpus, "digests.txt"), "w") as file:
        file.writelines(f"{digest}  {name}\n" for name, digest in rows)
    print("corpus/digests.txt is written anew")


def merge_all(root, targets):
    for target in targets:
        try:
            merge(root, target)
        except RuntimeError as error:
            sys.exit(f"fuzz: {target}: {error}")
    try:
        write_digests(root)
    except RuntimeError as error:
        sys.exit(f"fuzz: {error}")


# ---- the command line ----

def span(word):
    """90, 90s, 10m or 2h, in seconds."""
    parts = re.fullmatch(r"(\d+)([smh]?)", word)
    if not parts or int(parts.group(1)) == 0:
        raise argparse.ArgumentTypeError(f"expected a time like 90, 90s, 10m or 2h, found '{word}'")
    return int(parts.group(1)) * {"": 1, "s": 1, "m": 60, "h": 3600}[parts.group(2)]


def count(word):
    if not word.isdigit() or int(word) == 0:
        raise argparse.ArgumentTypeError(f"expected a number from 1, found '{word}'")
    return int(word)


class Parser(argparse.ArgumentParser):
    """What is wrong is one line, as of ./dev itself."""

    def error(self, message):
        print(f"dev: fuzz: {message} (./dev help)", file=sys.stderr)
        sys.exit(2)


def arguments():
    parser = Parser(prog="./dev fuzz", allow_abbrev=False)
    parser.add_argument("root", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--engine", choices=sorted(ENGINES), default="libfuzzer")
    parser.add_argument("--mode", choices=["release", "debug", "asan"], default="debug")
    parser.add_argument("--seconds", type=span, metavar="N",
                        help=f"or 10m, 2h; {SECONDS} where there is no --until-quiet")
    parser.add_argument("--jobs", type=count, default=1, metavar="J")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--until-quiet", type=span, default=0, metavar="TIME",
                        help="until there was no new edge for so long")
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--plan", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_intermixed_args()
    for target in args.targets:
        if target not in TARGETS:
            parser.error(f"unknown target '{target}' ({', '.join(TARGETS)})")
    if args.merge and "image" in args.targets:
        parser.error("images are large: put what was found into corpus/image, by name")
    if args.seconds is None:
        args.seconds = math.inf if args.until_quiet else SECONDS
    return args


def main():
    args = arguments()
    if args.plan: # what ./dev has to build
        print(*("merge", "debug") if args.merge else (args.engine, args.mode))
        return
    program, package = PROGRAMS[args.engine]
    if shutil.which(program) is None:
        sys.exit(f"fuzz: {program} is not installed: apt-get install {package} (./dev setup)")
    for number in ENDS:
        if signal.getsignal(number) != signal.SIG_IGN: # nohup's
            signal.signal(number, signal.default_int_handler)
    if args.merge:
        merge_all(args.root, args.targets or [name for name in TARGETS if name != "image"])
        return
    finds = 0
    for target in args.targets or TARGETS:
        try:
            found, stopped = campaign(args.root, args, target)
        except RuntimeError as error:
            sys.exit(f"fuzz: {target}: {error}")
        finds += found
        if stopped:
            sys.exit(130)
    sys.exit(1 if finds else 0)


if __name__ == "__main__":
    main()
