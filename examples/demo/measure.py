"""Whole programs with one memory and another in turn.

Both run on one CPU, and the order swaps each round, so that a slow moment hits both. Times are CPU
times (user + system) from wait4. The ratio is the median of the rounds' own ratios; +- is half of
their interquartile range. The peak is what the program reads of itself (VmHWM): what wait4 says
would include this script, from before the exec.
"""
import math
import os
import statistics
import subprocess
import tempfile
import time

from builds import Failed

NOISY = 0.05
ROUNDS_LEAST, ROUNDS_MOST = 3, 9


def pin():
    """Keep this script, and so what it starts, on one CPU, as taskset does."""
    try:
        cpu = max(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cpu})
        return f"on CPU {cpu}"
    except (AttributeError, OSError):
        return "not pinned to a CPU"


def run_once(command):
    """One run: CPU seconds, peak KiB (None where /proc has none), output."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as peak:
        command = [command[0], "--peak", str(peak.fileno()), *command[1:]]
        child = subprocess.Popen(command, stdout=out, pass_fds=[peak.fileno()])
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise Failed(f"{' '.join(command)} ended with status {child.returncode}")
        out.seek(0)
        peak.seek(0)
        kib = peak.read().split()
        return usage.ru_utime + usage.ru_stime, int(kib[-1]) if kib else None, out.read()


def half_spread(values):
    """Half of the interquartile range."""
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2


def noise(values):
    return half_spread(values) / statistics.median(values)


class Pair:
    """One program's rounds: [0] with libc, [1] with fief."""

    def __init__(self, name):
        self.name = name
        self.times, self.peaks, self.outputs = ([], []), ([], []), set()

    def run(self, commands, counts):
        order = (0, 1) if len(self.outputs) == 0 or len(self.times[0]) % 2 else (1, 0)
        for which in order:
            seconds, peak, output = run_once(commands[which])
            self.outputs.add(output)
            if counts:
                self.times[which].append(max(seconds, 1e-6))
                self.peaks[which].append(peak)
        if len(self.outputs) != 1:
            raise Failed(f"{self.name}: the output differs between runs")

    def ratios(self):
        return [fief / libc for libc, fief in zip(*self.times)]

    def ratio(self):
        return statistics.median(self.ratios())

    def noise(self):
        return max(noise(self.ratios()), noise(self.times[0]), noise(self.times[1]))


def measure(name, commands, seconds):
    """As many rounds as fit, 3 to 9, after one that does not count; with no seconds, one round."""
    pair = Pair(name)
    end = time.monotonic() + seconds
    if seconds > 0:
        pair.run(commands, counts=False)
    least = ROUNDS_LEAST if seconds > 0 else 1
    for done in range(ROUNDS_MOST):
        if done >= least and time.monotonic() >= end:
            break
        pair.run(commands, counts=True)
    return pair


def geomean(ratios):
    return math.exp(statistics.fmean(math.log(r) for r in ratios))


def show_noise(screen, noisy):
    if noisy:
        screen.note(f"noisy: {', '.join(noisy)} (above {NOISY * 100:.0f} %: run it again "
                    "on a quiet machine)")
