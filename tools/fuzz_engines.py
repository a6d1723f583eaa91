"""The engines behind ./dev fuzz: how each is started, what it says of itself, what it leaves.

An engine has jobs (processes), which begin() starts. figures() is (executions, rate, edges,
corpus). poll() puts inputs that failed by, into `pending`, and starts again what ended by one;
`failed` says why an engine can't go on. stop() ends all and brings new inputs to `work`.
"""
import collections
import glob
import hashlib
import os
import re
import shutil
import signal
import subprocess
import time

from fuzz_finds import HANG

# An input that failed: what was said of it, and the seed of its job, where they are known.
Find = collections.namedtuple("Find", "path report seed")


class Job:
    def __init__(self, number, folder):
        self.number, self.process, self.log, self.read, self.tail = number, None, None, 0, ""
        self.folder, self.seed = folder, None
        self.runs = self.rate = self.edges = self.corpus = self.before = 0


class Engine:
    """What is the same for all. An input that failed waits as a file until the campaign has kept
    it: none is lost, whatever ends the campaign meanwhile. `left` are those of earlier ones."""

    def __init__(self, place, args, seed):
        self.place, self.args, self.seed = place, args, seed
        self.waiting = os.path.join(place.scratch, "waiting")
        os.makedirs(self.waiting, exist_ok=True)
        self.failed = None
        self.pending = [Find(os.path.join(self.waiting, name), self.told(name), None)
                        for name in sorted(os.listdir(self.waiting))]
        self.left = list(self.pending)

    @staticmethod
    def told(name):
        """A hang says nothing; its file's name says that it is one."""
        return HANG if re.search(r"(^|-)(hang|timeout)", name) else None

    def put_by(self, path, kind, report=None, seed=None):
        """Moved, since the same name may come again."""
        kept = os.path.join(self.waiting, f"{time.time_ns()}-{kind}")
        os.replace(path, kept)
        self.pending.append(Find(kept, report or self.told(kind), seed))

    def done(self, find):
        self.pending.remove(find)
        os.remove(find.path)

    def job_seed(self, number):
        return self.seed + number

    @staticmethod
    def end(processes):
        """All are asked before the first is waited for; who does not listen is killed."""
        running = [process for process in processes if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGINT)
        for process in running:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


# Bytes: what is longer has long runs. Lox texts need more for a class and its use; an image has
# pages.
INPUT_MOST = {"lox": 600, "image": 1 << 16}
# AFL++ runs each input several times before it begins.
NEWEST = 300


def libfuzzer_flags(place):
    flags = [f"-max_len={INPUT_MOST.get(place.target, 256)}", "-len_control=0", "-entropic=0",
             "-reduce_inputs=0", "-timeout=20", "-print_final_stats=1"]
    return flags + ([f"-dict={place.dictionary}"] if place.dictionary else [])


class LibFuzzer(Engine):
    """Each job leaves its artifacts in a folder of its own: two may find the same at once."""
    name = "libfuzzer"

    def __init__(self, place, args, seed):
        super().__init__(place, args, seed)
        self.crashes = os.path.join(place.scratch, "crashes")
        self.averages, self.jobs = {}, []

    def begin(self):
        for folder, _, _ in list(os.walk(self.crashes)): # what a campaign left that was killed
            self.take_artifacts(folder)
        self.left = list(self.pending)
        for number in range(self.args.jobs):
            self.jobs.append(Job(number, os.path.join(self.crashes, str(number))))
            os.makedirs(self.jobs[-1].folder, exist_ok=True)
            self.start(self.jobs[-1])

    def build(self):
        return "fuzz-" + self.args.mode

    def flags(self):
        return libfuzzer_flags(self.place)

    def start(self, job):
        job.before += job.runs
        job.runs, job.read, job.tail, job.seed = 0, 0, "", self.seed
        job.log = os.path.join(self.place.scratch, f"job-{job.number}.log")
        command = [self.place.binary(self.build()), *self.flags(),
                   f"-seed={self.seed}", f"-artifact_prefix={job.folder}/", self.place.work,
                   self.place.seeds]
        self.seed += 1
        given = os.environ.get("UBSAN_OPTIONS", "")
        environment = {**os.environ, "UBSAN_OPTIONS": given + ":abort_on_error=1"}
        with open(job.log, "wb") as log:
            job.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log,
                                           start_new_session=True, env=environment)

    def take(self, job):
        with open(job.log, "rb") as log:
            log.seek(job.read)
            text = log.read().decode(errors="replace")
            job.read = log.tell()
        job.tail = (job.tail + text)[-20000:]
        line = r"#(\d+)\s+\w+\s+cov: (\d+).* corp: (\d+)/.*exec/s: (\d+)"
        for numbers in re.finditer(line, text):
            job.runs, job.edges, job.corpus, job.rate = map(int, numbers.groups())
        total = re.search(r"stat::number_of_executed_units: (\d+)", text)
        job.runs = int(total.group(1)) if total else job.runs
        for average in re.finditer(r"fuzz: (\d+) executions, (\d+) operations on average", text):
            self.averages[job.number] = tuple(map(int, average.groups()))

    def figures(self):
        for job in self.jobs:
            self.take(job)
        return (sum(j.before + j.runs for j in self.jobs), sum(j.rate for j in self.jobs),
                max(j.edges for j in self.jobs), max(j.corpus for j in self.jobs))

    def average(self):
        runs = sum(count for count, _ in self.averages.values())
        return sum(count * mean for count, mean in self.averages.values()) // runs if runs else None

    def take_artifacts(self, folder, report=None, seed=None):
        """How many there were; what was only slow is no find."""
        taken = 0
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if name.startswith("slow-unit-"):
                os.remove(path)
            elif os.path.isfile(path):
                self.leave_out(path)
                self.put_by(path, name.split("-")[0], report, seed)
                taken += 1
        return taken

    def leave_out(self, path):
        """An input that fails is no input to start with: the next job would end at once."""
        for folder in (self.place.work, self.place.seeds):
            for entry in list(os.scandir(folder)) if os.path.isdir(folder) else []:
                if entry.stat().st_size == os.path.getsize(path) and \
                        content(entry.path) == content(path):
                    os.remove(entry.path)

    def poll(self, again=True):
        """A job that ended without an input that failed can't run."""
        for job in self.jobs:
            if job.process.poll() is None:
                continue
            self.take(job)
            taken = self.take_artifacts(job.folder, job.tail, job.seed)
            if not again:
                continue
            if not taken and job.process.returncode != 0:
                self.failed = (f"the engine ended with {job.process.returncode}: "
                               + job.tail.strip()[-300:])
            else:
                self.start(job)

    def stop(self):
        self.end([job.process for job in self.jobs if job.process])


class Afl(Engine):
    """afl-fuzz: the first job is -M, with the CMPLOG binary, the others are -S."""
    name = "afl"

    def __init__(self, place, args, seed):
        super().__init__(place, args, seed)
        self.out = os.path.join(place.scratch, "afl")
        self.processes = []

    def begin(self):
        self.poll(again=False) # what a campaign left that was killed
        self.left = list(self.pending)
        self.harvest()
        shutil.rmtree(self.out, ignore_errors=True)
        self.take_newest()
        if not os.listdir(self.place.seeds):
            raise RuntimeError("afl-fuzz needs an input to start with, and "
                               f"corpus/{self.place.target} has none")
        for number in range(self.args.jobs):
            self.processes.append(self.start(number))

    def take_newest(self):
        """Of what earlier campaigns found; the others come by -F, at the first synchronisation."""
        found = sorted(os.scandir(self.place.work), key=lambda entry: entry.stat().st_mtime)
        for entry in found[-NEWEST:]:
            shutil.copy(entry.path, os.path.join(self.place.seeds, f"found-{entry.name}"))

    def build(self):
        return "fuzz-afl" if self.args.mode == "release" else f"fuzz-afl-{self.args.mode}"

    def flags(self):
        return (["-x", self.place.dictionary] if self.place.dictionary else []) + ["-t", "5000"]

    def environment(self):
        mutator = os.path.join(self.place.root, "build/release/fuzz/libfief-afl-mutator.so")
        own = {} if self.place.target == "image" else {"AFL_CUSTOM_MUTATOR_LIBRARY": mutator}
        return {**os.environ, **own, "FIEF_FUZZ_TARGET": self.place.target, "AFL_NO_UI": "1",
                "AFL_SKIP_CPUFREQ": "1", "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",
                "AFL_NO_AFFINITY": "1", "AFL_IGNORE_PROBLEMS": "1", "AFL_SYNC_TIME": "1",
                "ASAN_OPTIONS": asan_for_afl(os.environ)}

    def start(self, number):
        role = ["-M", "main"] if number == 0 else ["-S", f"job-{number}"]
        if number == 0:
            # What earlier campaigns found, and what others find meanwhile.
            role += ["-c", self.place.binary("fuzz-afl-cmplog"), "-F", self.place.work]
        command = ["afl-fuzz", "-i", self.place.seeds, "-o", self.out, "-s",
                   str(self.job_seed(number)), *role, *self.flags(), "--",
                   self.place.binary(self.build())]
        with open(self.log(number), "wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True,
                                    env=self.environment())

    def log(self, number):
        return os.path.join(self.place.scratch, f"afl-{number}.log")

    def figures(self):
        rows = [last_row(path) for path in glob.glob(os.path.join(self.out, "*", "plot_data"))]
        rows = [row for row in rows if row]
        if not rows:
            return 0, 0, 0, 0
        runs, rates, edges, corpora = zip(*rows)
        return sum(runs), int(sum(rates)), max(edges), max(corpora)

    def average(self):
        return None

    def poll(self, again=True):
        for kind in ("crashes", "hangs"):
            for path in sorted(glob.glob(os.path.join(self.out, "*", kind, "id:*"))):
                number = re.sub(r"\D", "", os.path.relpath(path, self.out).split(os.sep)[0]) or 0
                seed = self.job_seed(int(number)) if self.processes else None
                self.put_by(path, {"crashes": "crash", "hangs": "hang"}[kind], seed=seed)
        for number, process in enumerate(self.processes):
            if again and process.poll() is not None:
                with open(self.log(number), errors="replace") as log:
                    self.failed = "afl-fuzz ended: " + last_words(log.read())

    def harvest(self):
        """New inputs go to `work`, by their content's names, as libFuzzer names its own."""
        for path in glob.glob(os.path.join(self.out, "*", "queue", "id:*")):
            if ",orig:" not in path and ",sync:" not in path:
                name = hashlib.sha1(content(path)).hexdigest()
                shutil.copy(path, os.path.join(self.place.work, name))

    def stop(self):
        self.end(self.processes)
        self.harvest()


def content(path):
    with open(path, "rb") as file:
        return file.read()


def last_row(path):
    """The last figures of a plot_data that AFL++ may just be writing; None while there are none."""
    with open(path, errors="replace") as file:
        whole = file.read().split("\n")[:-1]
    for line in reversed(whole):
        words = line.split(",")
        try:
            return int(words[11]), float(words[10]), int(words[12]), int(words[3])
        except (IndexError, ValueError):
            continue
    return None


def last_words(text):
    """Why afl-fuzz gave up, in one line, without its colours and its advice."""
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|[\x0e\x0f]", "", text)
    why = re.search(r"PROGRAM ABORT : (.*)", text) or re.search(r"\[-\] +(.*)", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return why.group(1).strip() if why else lines[-1] if lines else "it said nothing"


def asan_for_afl(environment):
    """AFL++ insists on both."""
    given = environment.get("ASAN_OPTIONS", "")
    return (given + ":" if given else "") + "abort_on_error=1:symbolize=0"


ENGINES = {engine.name: engine for engine in (LibFuzzer, Afl)}
PROGRAMS = {"libfuzzer": ("clang", "clang"), "afl": ("afl-fuzz", "afl++")}
