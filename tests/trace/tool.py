#!/usr/bin/env python3
"""The program `fief`, as TAP: recording, what the commands print, and bad input.

    tool.py FIEF PROGRAMS SOURCE-ROOT [--lua]

PROGRAMS is tests/trace/programs.c. With --lua the six Lua programs are recorded, too: bytes an operation.
"""
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

FIEF, PROGRAMS, ROOT = (os.path.abspath(word) for word in sys.argv[1:4])
WITH_LUA = "--lua" in sys.argv
WORDS = os.path.join(ROOT, "tests", "trace", "words.trace")
DEEP = os.path.join(ROOT, "tests", "trace", "words-depth8.trace")
HEADER = 16

sys.path.insert(0, os.path.join(ROOT, "tests"))
from tap import end, report  # noqa: E402


def fief(*words, **more):
    environment = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "NO_COLOR")}
    done = subprocess.run([FIEF, *words], capture_output=True, timeout=300, env=environment, **more)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def record(what, *options, status=0):
    path = what + ".trace"
    got, _, error = fief("record", *options, "-o", path, "--", PROGRAMS, what)
    report(got == status, f"record of '{what}' has the program's status {status}", f"{got}\n{error}")
    return path, error


def summary(path):
    status, out, error = fief("--json", "show", path)
    try:
        return dict(json.loads(out), error=error)
    except ValueError:
        return {"operations": -1, "error": f"{status} {out} {error}"}


def check_record():
    s = summary(record("calls")[0])
    report(s["blocks"] == 6 and s["operations"] == 15 and not s["cut"], "every allocation function is recorded", s)
    s = summary(record("threads")[0])
    expected = 4 * 20000 * 3
    report(expected <= s["operations"] <= expected + 200 and s["unknown_frees"] == 0,
           "four threads: every call, and each free finds its block", s)
    path, error = record("fork")
    children = [name for name in os.listdir(".") if re.fullmatch(r"fork\.trace\.\d+", name)]
    report(len(children) == 1 and "1 of its children" in error, "a fork's child has a trace", error)
    s, child = summary(path), summary(children[0])
    report(s["operations"] < 100 and not s["cut"], "the parent's has none of the child's calls", s)
    report(2000 <= child["operations"] <= 2100 and child["unknown_frees"] == 1,
           "the child's has its own, and frees what its parent made", child)
    path, error = record("exec")
    later = [name for name in os.listdir(".") if re.fullmatch(r"exec\.trace\.\d+", name)]
    report(len(later) == 1 and 2000 <= summary(path)["operations"] <= 2100,
           "exec: the first program's trace is whole to the exec", error)
    report(later and summary(later[0])["blocks"] == 6, "and the second's is FILE.PID", later)
    for what, status in (("kill", 137), ("crash", 139)):
        path, error = record(what, status=status)
        report(2000 <= summary(path)["operations"] <= 2100 and "ended by signal" in error,
               f"{what}: all calls up to the end are there", error)
    record("status", status=7)
    s = summary(record("closes")[0])
    report(s["operations"] >= 402000 and not s["cut"], "a program may close every descriptor", s)
    s = summary(record("threads", "--depth", "8")[0])
    # What the unwinder allocates while it walks is not the program's; it may be freed as if it were.
    report(s["operations"] >= expected and s["unknown_frees"] <= 1, "eight frames deep", s)
    plain, raw = os.path.getsize("threads.trace"), os.path.getsize(record("threads", "--raw")[0])
    report(plain <= raw, "--raw is not smaller", f"{plain} {raw}")


def check_running():
    """A recording that nobody ended is read up to its last call: cut there, with a sentence."""
    environment = dict(os.environ, LD_PRELOAD=os.path.join(os.path.dirname(FIEF), "libfief-record.so"),
                       FIEF_RECORD=os.path.abspath("open.trace"))
    done = subprocess.run([PROGRAMS, "kill"], env=environment)
    names = [name for name in os.listdir(".") if name.startswith("open.trace")]
    s = summary(names[0]) if names else {}
    report(done.returncode == -9 and s.get("cut") and 2000 <= s["operations"] <= 2100 and
           "cut after" in s["error"], "a killed program's open trace reads up to the cut", s)


def check_forms():
    status, out, error = fief("convert", DEEP, "--to", "massif", "-o", "out.massif")
    printed = subprocess.run(["ms_print", "out.massif"], capture_output=True) \
        if shutil.which("ms_print") else None
    report(status == 0 and (printed is None or
                            (printed.returncode == 0 and b"(peak)" in printed.stdout)),
           "ms_print reads the massif form" + (" # SKIP no ms_print" if printed is None else ""),
           printed.stderr if printed else error)
    status, out, error = fief("convert", DEEP, "--to", "folded")
    lines = [line.rsplit(" ", 1) for line in out.splitlines()]
    total = summary(DEEP)["bytes"]
    report(status == 0 and sum(int(value) for _, value in lines) == total and
           any(";" in stack for stack, _ in lines), "folded stacks add up to all bytes", out[:500])
    status, out, error = fief("convert", DEEP, "--to", "folded", "--value", "peak")
    report(sum(int(line.rsplit(" ", 1)[1]) for line in out.splitlines()) ==
           summary(DEEP)["peak_bytes"], "folded stacks at the peak add up to it", error)
    fief("convert", DEEP, "--to", "pprof", "-o", "out.pb.gz")
    values = pprof_values("out.pb.gz")
    s = summary(DEEP)
    report(values == [s["blocks"], s["bytes"], s["left_blocks"], s["left_bytes"]],
           "pprof's samples add up", f"{values} {s}")
    status, out, error = fief("convert", WORDS, "--to", "ops")
    operations = [line for line in out.splitlines() if not line.startswith("#")]
    report(status == 0 and 300 < len(operations) <= 400 and operations[0] == "open usual",
           "ops fit a program", out[:300])


def numbers_of(data):
    """The fields of a protocol buffer's message: (number, value)."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        value = varint()
        if key & 7 == 2:
            value, at = data[at:at + value], at + value
        yield key >> 3, value


def pprof_values(path):
    with open(path, "rb") as file:
        data = file.read()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    sums = [0] * 4
    for field, value in numbers_of(data):
        if field == 2:
            for i, part in enumerate(v for f, v in numbers_of(value) if f == 2):
                sums[i] += part
    return sums


def check_replay():
    status, out, error = fief("--json", "replay", WORDS, "--rounds", "1", "--allocator", "fief,libc")
    rows = [json.loads(line) for line in out.splitlines()]
    report(status == 0 and [row["allocator"] for row in rows] == ["fief", "libc"] and
           all(row["time_ns"] > 0 and row["steps"] >= 8000 for row in rows), "replay on two allocators",
           error)


def refused(name, expected, words, part):
    status, out, error = fief(*words)
    report(status == expected and len(error.strip().splitlines()) == 1 and part in error and out == "",
           f"refused: {name}", f"{status}: {error}{out[:200]}")


def check_bad_input():
    with open(WORDS, "rb") as file:
        whole = file.read()
    files = {"text": b"no trace, but a text that is long enough",
             "version": whole[:8] + b"\x07" + whole[9:], "none": whole[:HEADER], "nothing": b""}
    for name, data in files.items():
        with open(name, "wb") as file:
            file.write(data)
    for words in (["replay"], ["convert", "--to", "ops"], ["convert", "--to", "massif"],
                  ["convert", "--to", "pprof"], ["convert", "--to", "folded"]):
        what = " ".join(words)
        refused(f"{what}: not a trace", 3, [words[0], "text", *words[1:]], "text: is not a trace")
        refused(f"{what}: another version", 3, [words[0], "version", *words[1:]], "of version 7")
        refused(f"{what}: empty", 3, [words[0], "nothing", *words[1:]], "is empty")
        status, out, error = fief(words[0], "none", *words[1:])
        report(status == 3 and "has no operations" in error, f"refused: {what}: no operations", error)
    refused("show: not a trace", 3, ["show", "text"], "is neither a trace nor JSON")
    refused("show: another version", 3, ["show", "version"], "of version 7")
    refused("a file that is not there", 3, ["show", "missing"], "No such file")
    refused("a directory", 3, ["replay", "."], "is not a file")
    refused("an output that cannot be written", 4, ["convert", WORDS, "--to", "ops", "-o", "/nowhere/x"],
            "/nowhere/x: cannot be written")
    refused("a trace that cannot be written", 4, ["record", "-o", "/nowhere/x", "--", PROGRAMS],
            "/nowhere/x: cannot be written")
    refused("a program that is not there", 4, ["record", "-o", "x.trace", "--", "no-such-program"],
            "no-such-program: cannot be started")
    report(not os.path.exists("x.trace"), "it leaves no trace behind")
    refused("a full disk", 4, ["-q", "convert", WORDS, "--to", "ops", "-o", "/dev/full"], "No space left")
    refused("an unknown command", 2, ["repaly", WORDS], "did you mean 'replay'?")
    refused("an unknown form", 2, ["convert", WORDS, "--to", "masif"], "did you mean 'massif'?")
    refused("an unknown option", 2, ["replay", WORDS, "--round"], "did you mean '--rounds'?")
    refused("an unknown allocator", 2, ["replay", WORDS, "--allocator", "limc"], "did you mean 'libc'?")
    refused("an unknown class", 2, ["explain", "double-fre"], "did you mean 'double-free'?")
    refused("no program", 2, ["record"], "which program?")
    for size in range(HEADER + 1, len(whole), 1500):
        with open("cut", "wb") as file:
            file.write(whole[:size])
        status, out, error = fief("show", "cut")
        sound = ("cut after" in error and status == 0) or (status == 3 and "no operations" in error)
        if not sound:
            break
    report(sound, "a cut trace reads up to the cut, and says so", f"{size}: {status} {error}")
    status, out, error = fief("-q", "record", "-o", "q.trace", "--", PROGRAMS, "calls")
    report(status == 0 and error == "" and out == "", "-q says nothing", error)


def check_show():
    for schema, text in (("fief-misuse/1", '"class":"double-free","text":"the block is free already",'
                          '"help":"find the owner"'), ("fief-stats/1", '"runtime":"vm"')):
        with open("one.json", "w") as file:
            file.write('{"schema":"%s",%s}\n' % (schema, text))
        status, out, error = fief("show", "one.json")
        if "without jansson" in error:
            report(status == 4, f"{schema} # SKIP no jansson")
        else:
            report(status == 0 and ("misuse[double-free]: the block is free already" in out or
                                    "vm:" in out), f"show renders {schema}", out + error)
    check_misuse_form()
    status, out, _ = fief("--color", "always", "explain", "leak")
    report(status == 0 and "\033[" in out, "--color always colours")
    status, out, _ = fief("explain")
    report(len(out.splitlines()) >= 28 and "\033[" not in out, "explain lists the classes, plain in a pipe")
    for command in ("record", "advise", "report", "replay", "convert", "show", "explain"):
        status, out, _ = fief(command, "--help")
        report(status == 0 and out.startswith(f"usage: fief {command}"), f"{command} --help")


def check_misuse_form():
    """The JSON of a report reads as the library prints it, with source; that of statistics likewise."""
    with open("vm.c", "w") as file:
        file.write("first\n    second();\n")
    frame = '{"function":"run","file":"vm.c","line":2}'
    with open("one.json", "w") as file:
        file.write('{"schema":"fief-misuse/1","class":"use-after-reset","runtime":"vm","thread":7,'
                   '"mode":"debug-poisoned","operation":9,"access":"read","text":"read of 8 bytes",'
                   '"address":"0x1010","unit":{"number":3,"name":"main.lox"},"block":{"address":"0x1000",'
                   '"offset_bytes":16,"size_bytes":40,"alive":false,"kind":"node","strategy":"pool"},'
                   '"sites":{"used":{"operation":9,"where":null,"frames":[%s]},"died":{"operation":8,'
                   '"where":"x.lox:4","frames":[]},"allocated":{"operation":0,"where":null,"frames":[]}},'
                   '"holder":null,"note":"blocks live until their unit ends","help":"%s","omitted":2}\n'
                   % (frame, "word " * 30))
    status, out, error = fief("show", "one.json")
    if "without jansson" in error:
        report(status == 4, "a report in full # SKIP no jansson")
        return
    expected = ["==7==fief: misuse[use-after-reset]: read of 8 bytes",
                "  0x1010 is 16 bytes into 'node', 40 bytes, pool, dead", "  used at  operation 9",
                "    #0 in run vm.c:2", "     > 2 | second();",
                '  died at  operation 8, end of unit 3 "main.lox", x.lox:4']
    report(status == 0 and out.splitlines()[:6] == expected and
           out.endswith("SUMMARY: fief: use-after-reset vm.c:2 in run\n") and
           all(len(line) < 80 for line in out.splitlines()) and "allocated at" not in out,
           "a report in full", out + error)
    row = ('"blocks":null,"used_bytes":1024,"peak_bytes":2048,"total_bytes":4096,"asked_bytes":0,'
           '"waste_basis_points":125,"resets":3,"fallbacks":0,"refused":2')
    with open("one.json", "w") as file:
        file.write('{"schema":"fief-stats/1","runtime":"vm","held_bytes":65536,"held_peak_bytes":131072,'
                   '"units":38,"strategies":{"pool":{%s},"heap":{"peak_bytes":0}},"kinds":{}}' % row)
    status, out, error = fief("show", "one.json")
    expected = ["vm: 1.0 KiB now, 64.0 KiB held from the OS (peak 128.0 KiB), 38 units, 2 refused",
                "pool                      -    1.0 KiB    2.0 KiB    4.0 KiB   1.2 %       3"]
    report(status == 0 and [out.splitlines()[0], out.splitlines()[2]] == expected and "heap" not in out,
           "statistics in full", out + error)


def check_lua():
    lua = shutil.which("lua5.4")
    folder = os.path.join(ROOT, "examples", "lua", "programs")
    for name in sorted(os.listdir(folder)):
        if not lua:
            report(True, f"{name} # SKIP no lua5.4")
            continue
        for mode in ([], ["--raw"]):
            fief("record", *mode, "-o", "lua.trace", "--", lua, os.path.join(folder, name))
            s = summary("lua.trace")
            each = s.get("file_bytes", 1e9) / max(s["operations"], 1)
            report(s["operations"] > 1000000 and each <= 6 and not s["cut"],
                   f"{name} {' '.join(mode)}: {each:.2f} bytes an operation, at most 6", s["error"])


def main():
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        check_record()
        check_running()
        check_forms()
        check_replay()
        check_show()
        check_bad_input()
        if WITH_LUA:
            check_lua()
        os.chdir("/")
    return end()


sys.exit(main())
