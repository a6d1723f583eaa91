#!/usr/bin/env python3
"""Which lines, branches and functions of src/ do the corpus and the tests run?

The library is built with clang's counters in release, debug and asan; the corpus is replayed, and
the tests are run, each in all three. A line that one mode runs is run: the figures are of all three
together. A branch counts as two, one for each way out; where the compiler knows in every mode which
way it is, it counts as none. What aborts counts up to there.

tools/coverage_exceptions.txt lists what is not counted, and why; what it lists and is run is an
error. The page is build/coverage/html/index.html.

Exit status: 0 the goals are met: every line and 95 % of the branches, but for the exceptions;
1 they are missed, an exception is not missed or not there, or a build or a run failed.
"""
import argparse
import collections
import json
import pathlib
import shutil
import subprocess
import sys

import planted

MODES = ["release", "debug", "asan"]
TESTS = [*planted.TESTS, "sites", "access", "numa", "locks", "reserves", "traces", "packs", "fuzz image"]
EXCEPTIONS = "tools/coverage_exceptions.txt"
GOALS = {"lines": 100, "branches": 95}  # percent, by both


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def run(command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, **options)
    if done.returncode != 0:
        sys.exit(f"coverage: {' '.join(map(str, command))}\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


# ---- running ----

class Builds:
    def __init__(self, root):
        self.root, self.out = root, root / "build/coverage"

    def folder(self, mode):
        return self.root / f"build/coverage-{mode}"

    def objects(self, mode):
        """Whatever holds the library's counters."""
        names = ["libfief.so", "tests/test-faults", "fuzz/fief-fuzz-oom", "tests/test-numa",
                 "tests/test-locks"]
        return [self.folder(mode) / name for name in names]

    def profiled(self, by, command):
        """Runs a command; its counters, and those of its children, go to one file a program."""
        run(["env", f"LLVM_PROFILE_FILE={self.out}/raw-{by}/%c%m.profraw", *command])

    def corpus(self, mode):
        folders = [path for path in sorted((self.root / "corpus").iterdir()) if path.is_dir()]
        for program in ("fief-fuzz", "fief-fuzz-oom"):
            left = self.out / "records" # what a report's file is made of is src/'s, too
            left.mkdir(parents=True, exist_ok=True)
            self.profiled("corpus", [self.folder(mode) / "fuzz" / program, "--record", left,
                                     *folders])
        images = [path for path in folders if path.name == "image"] # the drivers leave it out
        self.profiled("corpus", [self.folder(mode) / "fuzz/fief-fuzz-image", "--runs", "0", *images])

    def tests(self, mode):
        command = ["meson", "test", "-C", self.folder(mode), "--no-rebuild",
                   "--timeout-multiplier", "0"]
        known = {line.rsplit("/", 1)[-1].strip()
                 for line in run([*command, "--list"]).splitlines()}
        self.profiled("tests", [*command, *[name for name in TESTS if name in known]])

    def merged(self, by, sources):
        """One file of counters; of several sources, both's together."""
        raw = [file for source in sources
               for file in sorted((self.out / f"raw-{source}").glob("*.profraw"))]
        profile = self.out / f"{by}.profdata"
        run(["llvm-profdata", "merge", "-o", profile, *raw])
        return profile

    def shown(self, modes, profile, command, *words):
        first, *others = [path for mode in modes for path in self.objects(mode)]
        more = [word for path in others for word in ("-object", path)]
        return run(["llvm-cov", command, first, *more, f"-instr-profile={profile}", *words])


# ---- counting ----

class Figures:
    """Of each file: {line: count}, {place: [true, false]} of branches, {place: [count, name]}."""

    def __init__(self, builds, profile):
        self.prefix = f"{builds.root}/"
        self.lines = collections.defaultdict(dict)
        self.branches = collections.defaultdict(dict)
        self.functions = collections.defaultdict(dict)
        for mode in MODES:
            self.read_mode(builds, mode, profile)
        for file in self.branches:
            self.drop_known(file)

    def read_mode(self, builds, mode, profile):
        """Of several objects llvm-cov takes each function from the first that has it: where a mode
        never calls it, or knows its branches, the others' counts would be lost."""
        self.read_lines(builds.shown([mode], profile, "export", "-format=lcov"))
        exported = json.loads(builds.shown([mode], profile, "export", "-format=text"))
        for function in exported["data"][0]["functions"]:
            self.read_function(function)

    def ours(self, path):
        path = str(pathlib.Path(path).resolve())
        name = path[len(self.prefix):] if path.startswith(self.prefix) else ""
        return name if name.startswith("src/") else None

    def read_lines(self, lcov):
        file = None
        for line in lcov.splitlines():
            if line.startswith("SF:"):
                file = self.ours(line[3:])
            elif line.startswith("DA:") and file is not None:
                number, count = line[3:].split(",")[:2]
                lines = self.lines[file]
                lines[int(number)] = lines.get(int(number), 0) + int(count)

    def read_function(self, function):
        files = [self.ours(path) for path in function["filenames"]]
        if files[0] is not None:
            place, name = function["regions"][0][0], function["name"].rsplit(":", 1)[-1]
            entry = self.functions[files[0]].setdefault(place, [0, name])
            entry[0] += function["count"]
        for branch in function.get("branches", []):
            if files[branch[6]] is not None:
                ways = self.branches[files[branch[6]]].setdefault(tuple(branch[:4]), [0, 0])
                ways[0] += branch[4]
                ways[1] += branch[5]

    def drop_known(self, file):
        """Of a line that was run, a branch that went no way is known to the compiler."""
        self.branches[file] = {place: ways for place, ways in self.branches[file].items()
                               if any(ways) or self.lines[file].get(place[0], 0) == 0}

    def missed(self, file):
        """{line: what is missed on it} """
        gaps = collections.defaultdict(list)
        for line, count in self.lines[file].items():
            if count == 0:
                gaps[line].append("line")
        for (line, *_), ways in self.branches[file].items():
            if 0 in ways:
                gaps[line] += ["branch"] * ways.count(0)
        for line, (count, _) in self.functions[file].items():
            if count == 0:
                gaps[line].append("function")
        return gaps

    def extent(self, file, name):
        """The lines of a function: until the next one begins."""
        starts = sorted(self.functions[file])
        for at, following in zip(starts, [*starts[1:], max(self.lines[file], default=0) + 1]):
            if self.functions[file][at][1] == name:
                return range(at, following)
        return range(0)

    def drop(self, file, lines):
        for line in lines:
            self.lines[file].pop(line, None)
            self.functions[file].pop(line, None)
        self.branches[file] = {place: ways for place, ways in self.branches[file].items()
                               if place[0] not in lines}

    def totals(self, files):
        """{what: (run, all)}"""
        lines = [count for file in files for count in self.lines[file].values()]
        ways = [way for file in files for both in self.branches[file].values() for way in both]
        functions = [count for file in files for count, _ in self.functions[file].values()]
        return {what: (sum(count > 0 for count in counts), len(counts))
                for what, counts in (("lines", lines), ("branches", ways),
                                     ("functions", functions))}


# ---- exceptions ----

def read_exceptions(path):
    """[(line number, file, what, reason)]"""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            fields = [field.strip() for field in line.split(" | ")]
            if len(fields) != 3 or not all(fields):
                sys.exit(f"{path}:{number}: expected FILE | TEXT or function() | REASON")
            found.append((number, *fields))
    return found


def named_lines(figures, root, file, what):
    """The lines that an exception speaks of; with a line of text goes the brace behind it, which is
    counted where nothing comes back to it."""
    if what.endswith("()"):
        return figures.extent(file, what[:-2])
    source = root / file
    text = source.read_text(encoding="utf-8").splitlines() if source.exists() else []
    named = [number for number, line in enumerate(text, start=1) if what in line]
    return [at for number in named for at in (number, number + 1)
            if at == number or text[at - 1:at] and text[at - 1].strip() == "}"]


def take_exceptions_off(root, of_both, all_figures):
    """Returns how many exceptions name nothing that is missed."""
    stale = 0
    dropped = collections.defaultdict(set)
    for number, file, what, _ in read_exceptions(root / EXCEPTIONS):
        named, gaps = named_lines(of_both, root, file, what), of_both.missed(file)
        lines = [line for line in named if line in gaps]
        dropped[file].update(lines)
        if not lines:
            why = "nothing of it is missed any more" if named else "there is no such place"
            say(f"{EXCEPTIONS}:{number}: '{what}' in {file}: {why}")
            stale += 1
    for figures in all_figures:
        for file, lines in dropped.items():
            figures.drop(file, lines)
    return stale


# ---- the report ----

def percent(counts):
    done, of = counts
    return int(1000 * done / of) / 10 if of else 100.0


def print_json(all_figures):
    for by, figures in all_figures.items():
        totals = figures.totals(list(figures.lines))
        print(json.dumps({"by": by, **{what: percent(n) for what, n in totals.items()}}))


def print_row(name, totals):
    print(f"{name:28}" + "".join(f"{done:>7}/{of:<6}{percent((done, of)):>6} %"
                                 for done, of in totals.values()))


def print_table(all_figures):
    both = all_figures["both"]
    print(f"{'by both':28}{'lines':>22}{'branches':>22}{'functions':>22}")
    for file in sorted(both.lines):
        print_row(file, both.totals([file]))
    print()
    for by, figures in all_figures.items():
        print_row(f"by {by}", figures.totals(list(figures.lines)))


def print_missed(root, figures):
    for file in sorted(figures.lines):
        text = (root / file).read_text(encoding="utf-8").splitlines()
        for line, gaps in sorted(figures.missed(file).items()):
            print(f"{file}:{line}: {'+'.join(gaps)}: {text[line - 1].strip()}")


def below_goals(figures):
    """Says what is not reached; returns how much of it."""
    totals = figures.totals(list(figures.lines))
    below = [what for what, goal in GOALS.items()
             if 100 * totals[what][0] < goal * totals[what][1]]
    for what in below:
        done, of = totals[what]
        say(f"coverage: {done} of {of} {what}: the goal is {GOALS[what]} % (--missed lists them)")
    return len(below)


def main(words):
    parser = argparse.ArgumentParser(prog="./dev coverage", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true",
                        help="an object a line, for corpus, tests and both")
    parser.add_argument("--html", action="store_true", help="write build/coverage/html")
    parser.add_argument("--missed", action="store_true", help="each line with something missed")
    parser.add_argument("--again", action="store_true", help="count what the last run left")
    args = parser.parse_args(words)
    root = args.root.resolve()
    builds = Builds(root)
    if not args.again:
        shutil.rmtree(builds.out, ignore_errors=True)
        for mode in MODES:
            say(f"coverage: corpus and tests ({mode})")
            builds.corpus(mode)
            builds.tests(mode)
    sources = {"corpus": ["corpus"], "tests": ["tests"], "both": ["corpus", "tests"]}
    profiles = {by: builds.merged(by, parts) for by, parts in sources.items()}
    all_figures = {by: Figures(builds, profile) for by, profile in profiles.items()}
    stale = take_exceptions_off(root, all_figures["both"], all_figures.values())
    if args.html:
        builds.shown(MODES, profiles["both"], "show", "-format=html", "-show-branches=count",
                     f"-output-dir={builds.out / 'html'}", str(root / "src"))
    if args.missed:
        print_missed(root, all_figures["both"])
    elif args.json:
        print_json(all_figures)
    else:
        print_table(all_figures)
    return 1 if below_goals(all_figures["both"]) + stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
