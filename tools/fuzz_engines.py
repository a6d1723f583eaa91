"""The engines behind ./dev fuzz: how each is started, what it says of itself, what it leaves.

An engine has jobs (processes). figures() is (executions, rate, edges, corpus), poll() gives the
inputs that failed with their reports, and restarts what ended by one; stop() ends all and brings
new inputs to `work`.
"""
import glob
import os
import re
import shutil
import signal
import subprocess


class Job:
    def __init__(self, number):
        self.number, self.process, self.log, self.read, self.tail = number, None, None, 0, ""
        self.runs = self.rate = self.edges = self.corpus = self.before = 0


# Bytes: what is longer has long runs. Lox texts need more for a class and its use; an image has pages.
INPUT_MOST = {"lox": 600, "image": 1 << 16}


def libfuzzer_flags(place):
    flags = [f"-max_len={INPUT_MOST.get(place.target, 256)}", "-len_control=0", "-entropic=0", "-reduce_inputs=0", "-timeout=20",
             "-print_final_stats=1"]
    return flags + ([f"-dict={place.dictionary}"] if place.dictionary else [])


class LibFuzzer:
    name = "libfuzzer"

    def __init__(self, place, args, seed):
        self.place, self.args, self.seed = place, args, seed
        self.crashes = os.path.join(place.scratch, "crashes")
        os.makedirs(self.crashes, exist_ok=True)
        self.known = set(os.listdir(self.crashes))
        self.averages = {}
        self.jobs = [Job(number) for number in range(args.jobs)]
        for job in self.jobs:
            self.start(job)

    def flags(self):
        return libfuzzer_flags(self.place)

    def start(self, job):
        job.before += job.runs
        job.runs, job.read, job.tail = 0, 0, ""
        job.log = os.path.join(self.place.scratch, f"job-{job.number}.log")
        command = [self.place.binary("fuzz-" + self.args.mode), *self.flags(),
                   f"-seed={self.seed}", f"-artifact_prefix={self.crashes}/", self.place.work, self.place.seeds]
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
        for numbers in re.finditer(r"#(\d+)\s+\w+\s+cov: (\d+).* corp: (\d+)/.*exec/s: (\d+)", text):
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

    def poll(self, again=True):
        """(input, report) of what failed since; an engine that can't run is an error."""
        found = []
        for job in self.jobs:
            if job.process.poll() is None:
                continue
            self.take(job)
            fresh = sorted(set(os.listdir(self.crashes)) - self.known)
            self.known.update(fresh)
            found += [(os.path.join(self.crashes, name), job.tail) for name in fresh]
            if not fresh and job.process.returncode != 0 and again:
                raise RuntimeError(f"the engine ended with {job.process.returncode}: "
                                   + job.tail.strip()[-300:])
            if again:
                self.start(job)
        return found

    def stop(self):
        for job in self.jobs:
            if job.process.poll() is None:
                job.process.send_signal(signal.SIGINT)
        for job in self.jobs:
            try:
                job.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                job.process.kill()
                job.process.wait()


class Afl:
    """afl-fuzz: the first job is -M, with the CMPLOG binary, the others are -S."""
    name = "afl"

    def __init__(self, place, args, seed):
        self.place, self.args, self.seed = place, args, seed
        self.out = os.path.join(place.scratch, "afl")
        shutil.rmtree(self.out, ignore_errors=True)
        self.known = set()
        self.processes = [self.start(number) for number in range(args.jobs)]

    def build(self):
        return "fuzz-afl" if self.args.mode == "release" else f"fuzz-afl-{self.args.mode}"

    def flags(self):
        return (["-x", self.place.dictionary] if self.place.dictionary else []) + ["-t", "5000"]

    def environment(self):
        mutator = os.path.join(self.place.root, "build/release/fuzz/libfief-afl-mutator.so")
        own = {} if self.place.target == "image" else {"AFL_CUSTOM_MUTATOR_LIBRARY": mutator}
        return {**os.environ, **own, "FIEF_FUZZ_TARGET": self.place.target, "AFL_NO_UI": "1", "AFL_SKIP_CPUFREQ": "1",
                "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1", "AFL_NO_AFFINITY": "1",
                "AFL_IGNORE_PROBLEMS": "1", "ASAN_OPTIONS": asan_for_afl(os.environ)}

    def start(self, number):
        role = ["-M", "main"] if number == 0 else ["-S", f"job-{number}"]
        if number == 0:
            role += ["-c", self.place.binary("fuzz-afl-cmplog")]
        command = ["afl-fuzz", "-i", self.place.seeds, "-o", self.out, "-s", str(self.seed + number),
                   *role, *self.flags(), "--", self.place.binary(self.build())]
        with open(os.path.join(self.place.scratch, f"afl-{number}.log"), "wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True,
                                    env=self.environment())

    def figures(self):
        runs = rate = edges = corpus = 0
        for path in glob.glob(os.path.join(self.out, "*", "plot_data")):
            with open(path) as file:
                last = file.read().strip().splitlines()[-1].split(",")
            if len(last) >= 13 and not last[0].startswith("#"):
                rate += float(last[10])
                runs += int(last[11])
                edges, corpus = max(edges, int(last[12])), max(corpus, int(last[3]))
        return runs, int(rate), edges, corpus

    def average(self):
        return None

    def poll(self, again=True):
        found = sorted(set(glob.glob(os.path.join(self.out, "*", "crashes", "id:*"))) - self.known)
        self.known.update(found)
        for number, process in enumerate(self.processes):
            if again and process.poll() is not None:
                with open(os.path.join(self.place.scratch, f"afl-{number}.log")) as log:
                    raise RuntimeError("afl-fuzz ended: " + log.read()[-600:])
        return [(path, None) for path in found]

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self.processes:
            process.wait()
        for path in glob.glob(os.path.join(self.out, "*", "queue", "id:*")):
            if ",orig:" not in path and ",sync:" not in path:
                name = re.sub(r"[^a-z0-9]+", "-", os.path.relpath(path, self.out))[-60:]
                shutil.copy(path, os.path.join(self.place.work, "afl-" + name))


def asan_for_afl(environment):
    """AFL++ insists on both."""
    given = environment.get("ASAN_OPTIONS", "")
    return (given + ":" if given else "") + "abort_on_error=1:symbolize=0"


ENGINES = {engine.name: engine for engine in (LibFuzzer, Afl)}
PROGRAMS = {"libfuzzer": ("clang", "clang"), "afl": ("afl-fuzz", "afl++")}
