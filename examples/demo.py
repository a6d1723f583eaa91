"""The measured part of the demo; demo.sh starts it.

Each program runs with libc and with fief in turn, on one CPU, and the order
swaps each round, so that a slow moment hits both. Times are CPU times (user +
system) from wait4. The ratio is the median of the rounds' own ratios; +- is
half of their interquartile range. The peak is what fief-lua reads of itself
(VmHWM): what wait4 says would include this script, from before the exec.
"""
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile

PROGRAMS = ["binary-trees", "closures", "json", "live-tree", "strings", "tables"]
MISTAKES = 3
NOISY = 0.05
HERE = os.path.dirname(os.path.abspath(__file__))


def stop(message):
    sys.exit("demo: " + message)


def find(build, name):
    """The executable, wherever meson put it below the build directory."""
    for path in (os.path.join(build, "examples", name), os.path.join(build, name)):
        if os.access(path, os.X_OK):
            return path
    return None


def script(program):
    return os.path.join(HERE, "lua", "programs", program + ".lua")


def pin():
    """Keep this script, and so what it starts, on one CPU, as taskset does."""
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned"
    try:
        cpu = max(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cpu})
        return f"pinned to CPU {cpu}"
    except OSError:
        return "not pinned"


def run_once(lua, program, allocator):
    """One run: CPU seconds, peak KiB (None where /proc has none), output."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as peak:
        command = [lua, "--allocator", allocator, "--peak", str(peak.fileno()), script(program)]
        child = subprocess.Popen(command, stdout=out, pass_fds=[peak.fileno()])
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            stop(f"{program} with {allocator} ended with status {child.returncode}")
        out.seek(0)
        peak.seek(0)
        kib = peak.read().split()
        return usage.ru_utime + usage.ru_stime, int(kib[0]) if kib else None, out.read()


def measure(lua, program, rounds):
    """Times and peaks by allocator; one more round before them is dropped."""
    times = {"libc": [], "fief": []}
    peaks = {"libc": [], "fief": []}
    outputs = set()
    for number in range(rounds + 1):
        order = ("libc", "fief") if number % 2 == 0 else ("fief", "libc")
        for allocator in order:
            seconds, peak, output = run_once(lua, program, allocator)
            outputs.add(output)
            if number > 0:
                times[allocator].append(seconds)
                peaks[allocator].append(peak)
    if len(outputs) != 1:
        stop(f"{program}: the output differs between runs")
    return times, peaks


def half_spread(values):
    """Half of the interquartile range."""
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2


def kib(values):
    return "-" if None in values else f"{round(statistics.median(values)):,}"


def noise(values):
    return half_spread(values) / statistics.median(values)


def show_program(program, times, peaks):
    """Prints one row; returns its ratio and its largest noise."""
    ratios = [fief / libc for libc, fief in zip(times["libc"], times["fief"])]
    ratio = statistics.median(ratios)
    spread = f"{half_spread(ratios):.2f}".lstrip("0")
    libc, fief = (statistics.median(times[a]) * 1000 for a in ("libc", "fief"))
    start = "\r" if sys.stdout.isatty() else ""
    print(f"{start}      {program:<13}{libc:6.0f} ms {fief:6.0f} ms   {ratio:5.2f} +-{spread}"
          f"  {kib(peaks['libc']):>9} -> {kib(peaks['fief']):>9}")
    return ratio, max(noise(ratios), noise(times["libc"]), noise(times["fief"]))


def compare(lua, rounds, place):
    print(f"[2/5] six Lua programs, libc and fief in turn, {rounds} rounds, median,\n"
          f"      CPU time, {place}")
    print(f"      {'program':<13}{'libc':>9} {'fief':>9}   {'ratio':>5}"
          f"        {'peak KiB libc':>9} -> fief")
    ratios, noisy = [], []
    for program in PROGRAMS:
        if sys.stdout.isatty():
            print(f"      {program} ...", end="", flush=True)
        ratio, worst = show_program(program, *measure(lua, program, rounds))
        ratios.append(ratio)
        if worst > NOISY:
            noisy.append(f"{program} {worst * 100:.0f} %")
    geomean = math.exp(statistics.fmean(math.log(r) for r in ratios))
    print(f"      {'geomean':<13}{'':23}{geomean:5.2f}   (1.00 = libc, less is faster)")
    for name in noisy:
        print(f"      noisy: {name} (above {NOISY * 100:.0f} %: run it again on a quiet machine)")


def show_statistics(lua, program):
    print(f"[3/5] where the bytes went      fief-lua --stats {program}.lua", flush=True)
    subprocess.run([lua, "--stats", script(program)], stdout=subprocess.DEVNULL, check=True)


def outcome(code):
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"status {code}"


def show_mistakes(demo):
    print("[4/5] three mistakes, caught by the debug-poisoned build", flush=True)
    missed = 0
    for number in range(1, MISTAKES + 1):
        print(f"\n$ misuse-demo {number}", flush=True)
        code = subprocess.run([demo, str(number)], stderr=subprocess.STDOUT).returncode
        expected = code == -signal.SIGABRT if number < MISTAKES else code == 1
        missed += not expected
        print(f"({outcome(code)}{'' if expected else ': NOT what was expected'})", flush=True)
    return missed


def main(release, debug, rounds="5"):
    lua, demo = find(release, "fief-lua"), find(debug, "misuse-demo")
    if not rounds.isdigit() or int(rounds) < 3:  # fewer have no spread
        stop(f"ROUNDS is a number from 3, not '{rounds}'")
    if demo is None:
        stop(f"no misuse-demo in {debug}: build it first")
    if lua is None:
        print("[2/5] skipped: no fief-lua (it needs liblua5.4-dev)\n[3/5] skipped too")
    else:
        compare(lua, int(rounds), pin())
        show_statistics(lua, "json")
    missed = show_mistakes(demo)
    print("\n[5/5] what to try next")
    print("      fief-lua --stats SCRIPT      your own script, and its bytes")
    print("      fief-lua --limit 4M SCRIPT   what it does when memory ends")
    print("      ./dev misuse                 every mistake that is caught")
    print("      ./dev help                   tests, benchmarks, the rest")
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(130)
