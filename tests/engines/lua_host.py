#!/usr/bin/env python3
"""Drives examples/fief-lua from outside: what it prints, where, and with which status it ends.

usage: lua_host.py FIEF_LUA PROGRAMS_DIRECTORY

What `lua5.4` does is the measure: where it is installed, each case is run by it too; elsewhere the
case is compared with what lua5.4 is known to do. Exit status 77 (skipped) without fief-lua.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SCALE = "0.02"
LUA = shutil.which("lua5.4")
failures = 0


def run(program, *args, stdin="", **options):
    result = subprocess.run([program, *args], input=stdin, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, encoding="utf-8", check=False, **options)
    return result.returncode, result.stdout, result.stderr


def expect(condition, what, got=""):
    global failures
    if not condition:
        failures += 1
        print(f"FAILED: {what}\n  {got!r}")


class Scripts:
    """Scripts in a directory that is the working directory of every run."""

    def __init__(self, host, directory):
        self.host, self.directory = host, directory

    def write(self, text):
        (pathlib.Path(self.directory) / "script.lua").write_text(text, encoding="utf-8")

    def run(self, text, *options, arguments=(), stdin=""):
        self.write(text)
        return run(self.host, *options, "script.lua", *arguments, stdin=stdin, cwd=self.directory)

    def lua(self, text, arguments=()):
        self.write(text)
        return run(LUA, "script.lua", *arguments, cwd=self.directory)


def is_one_line(text):
    return text.endswith("\n") and text.count("\n") == 1


# ---- errors ----

# script, status (None: as the finalizer likes), the first line on stderr after "PROGRAM: ", whether
# it is the only one
ERRORS = [
    ("local = 1", 1, "script.lua:1: <name> expected near '='", True),
    ("x = 'unfinished", 1, "script.lua:1: unfinished string near <eof>", True),
    ("error('deliberate')", 1, "script.lua:1: deliberate", False),
    ("\n\nlocal t = nil; t.x = 1", 1,
     "script.lua:3: attempt to index a nil value (local 't')", False),
    ("error({})", 1, "(error object is a table value)", False),
    ("error(setmetatable({}, {__tostring = function() return 'described' end}))", 1, "described",
     True),
    ("error()", 1, "nil", True),
    ("error(42)", 1, "42", False),
    ("error('no place', 0)", 1, "no place", False),
    ("os.exit(3)", 3, None, None),
    ("os.exit(true)", 0, None, None),
    ("os.exit(false)", 1, None, None),
    ("os.exit()", 0, None, None),
    ("os.exit(256 + 7, true)", 7, None, None),
    ("return 5", 0, None, None),
    ("io.stderr:write('')", 0, None, None),
    ("setmetatable({}, {__gc = function() os.exit(9) end})", None, None, None),
    ("local t <close> = setmetatable({}, {__close = function() print('closed') end})", 0, None, None),
]


def check_error(scripts, case, allocator):
    script, status, line, only = case
    got_status, _, stderr = scripts.run(script, "--allocator", allocator)
    where = f"{script!r} with {allocator}"
    expect(got_status in ((0, 9) if status is None else (status,)), f"{where}: status", got_status)
    if line is None:
        expect(status is None or stderr == "", f"{where}: nothing on stderr", stderr)
        return
    if line != "nil":
        expect(stderr.split("\n")[0] == f"fief-lua: {line}", f"{where}: says {line!r}", stderr)
    if only:
        expect(is_one_line(stderr) or line in ("nil", "described"), f"{where}: one line", stderr)


def check_like_lua(scripts, case):
    script, status, _, _ = case
    ours, lua = scripts.run(script), scripts.lua(script)
    expect(status is None or lua[0] == status, f"{script!r}: lua5.4 itself ends with {status}", lua[0])
    expect(status is None or ours[0] == lua[0], f"{script!r}: the status of lua5.4", (ours, lua))
    expect(ours[1] == lua[1], f"{script!r}: the stdout of lua5.4", (ours[1], lua[1]))
    first = [text.split("\n")[0].split(": ", 1)[-1] for text in (ours[2], lua[2])]
    expect(first[0] == first[1], f"{script!r}: the message of lua5.4", first)


def check_errors(scripts):
    for case in ERRORS:
        for allocator in ("fief", "libc"):
            check_error(scripts, case, allocator)
        if LUA:
            check_like_lua(scripts, case)


def check_missing_script(scripts):
    status, stdout, stderr = run(scripts.host, "no-such-file.lua", cwd=scripts.directory)
    expect((status, stdout) == (1, ""), "a missing script ends with 1", status)
    expect(is_one_line(stderr), "a missing script: one line", stderr)
    expect(stderr.startswith("fief-lua: cannot open no-such-file.lua"), "and it is named", stderr)
    if LUA:
        expect(run(LUA, "no-such-file.lua")[0] == status, "the status of lua5.4", status)


# ---- options ----

BAD_OPTIONS = [
    ["--nope", "script.lua"], ["-e", "print(1)"], ["--allocator", "jemalloc", "script.lua"],
    ["--allocator"], ["--gc", "none", "script.lua"], ["--limit"], ["--peak", "-1", "script.lua"],
    ["--peak", "5000", "script.lua"], ["--lives", "0", "script.lua"], ["--lives"], [], ["--stats"],
    ["--"], ["--drop"], ["--drop", "--allocator", "libc", "script.lua"],
]
BAD_LIMITS = ["0", "0K", "abc", "-1", "+1", "", " 5", "5 ", "1X", "1KK", "1.5M", "0x100", "M",
              "99999999999999999999999", "18446744073709551616", "17179869184G"]


def check_bad_options(scripts):
    scripts.write("print('the script ran')")
    cases = BAD_OPTIONS + [["--limit", limit, "script.lua"] for limit in BAD_LIMITS]
    for case in cases:
        status, stdout, stderr = run(scripts.host, *case, cwd=scripts.directory)
        expect((status, stdout) == (1, ""), f"{case}: status 1, and no run", (status, stdout))
        expect(is_one_line(stderr) and stderr.startswith("fief-lua: "), f"{case}: one line", stderr)
        if "--limit" in case and len(case) == 3:
            expect(f"'{case[1]}'" in stderr, f"{case}: the value is named", stderr)
    status, stdout, stderr = run(scripts.host, "--help")
    expect((status, stderr) == (0, "") and "--limit BYTES" in stdout, "--help", stdout)


def check_good_limits(scripts):
    for limit in ("1000000", "4096K", "64M", "1G", "8589934592G"):
        for allocator in ("fief", "libc"):
            got = scripts.run("print('ran')", "--limit", limit, "--allocator", allocator)
            expect(got == (0, "ran\n", ""), f"--limit {limit} with {allocator}", got)


def check_tiny_limits(scripts):
    for limit in ("1", "100", "4096", "20000"):
        for allocator in ("fief", "libc"):
            got = scripts.run("print('ran')", "--limit", limit, "--allocator", allocator)
            expect(got[0] == 1 and got[1] == "", f"--limit {limit} with {allocator}: refused", got)
            expect(is_one_line(got[2]), f"--limit {limit} with {allocator}: one line", got[2])


def check_arguments(scripts):
    script = "print(select('#', ...), ...)\nprint(arg[0], arg[1], arg[2], arg[3], #arg)"
    arguments = ("a b", "", "--stats")
    expected = "3\ta b\t\t--stats\nscript.lua\ta b\t\t--stats\t3\n"
    got = scripts.run(script, arguments=arguments)
    expect(got == (0, expected, ""), "script arguments", got)
    if LUA:
        expect(scripts.lua(script, arguments)[1] == got[1], "the arguments of lua5.4", got)
    got = scripts.run("print(arg[-1], arg[-2], arg[-3])", "--gc", "incremental")
    expect(got[1] == f"incremental\t--gc\t{scripts.host}\n", "the host's own arguments", got)
    got = run(scripts.host, "-", "x", stdin="print('from stdin', ...)")
    expect(got == (0, "from stdin\tx\n", ""), "a script from stdin", got)
    got = run(scripts.host, "-", stdin="error('broken')")
    expect(got[0] == 1 and got[2].startswith("fief-lua: stdin:1: broken\n"), "stdin fails", got)
    got = scripts.run("print(io.read('l'))", stdin="a line\n")
    expect(got == (0, "a line\n", ""), "a script that reads stdin", got)


# ---- statistics ----

def check_statistics(scripts):
    script = "local t = {} for i = 1, 1000 do t[i] = {i} end print(#t)"
    status, stdout, stderr = scripts.run(script, "--stats")
    expect((status, stdout) == (0, "1000\n") and "heap" in stderr, "--stats", stderr)
    status, stdout, stderr = scripts.run(script, "--stats", "--allocator", "libc")
    expect((status, stdout) == (0, "1000\n") and "bytes peak" in stderr, "--stats, libc", stderr)
    for options, schema in (((), "fief-stats/1"), (("--limit", "64M"), "fief-stats/1"),
                            (("--allocator", "libc"), "fief-lua-libc/1")):
        status, stdout, stderr = scripts.run(script, "--json", *options)
        expect((status, stdout) == (0, "1000\n"), f"--json {options}: the script ran", status)
        stats = json.loads(stderr)
        expect(stats["schema"] == schema, f"--json {options}: {schema}", stats["schema"])
        used = stats.get("now_bytes") or stats["strategies"]["heap"]["used_bytes"]
        expect(used > 50000, f"--json {options}: a thousand tables are used", used)
    status, _, stderr = scripts.run("error('late')", "--json")
    expect(status == 1 and stderr.startswith("fief-lua: script.lua:1: late"), "both", stderr)
    json.loads(stderr.split("\n")[-2])


def peak_of(scripts, script, *options):
    """How it ran, and its peak in KiB. Of what the host frees itself AddressSanitizer holds back less
    than it would."""
    reader, writer = os.pipe()
    scripts.write(script)
    given = os.environ.get("ASAN_OPTIONS", "")
    environment = {**os.environ, "ASAN_OPTIONS": given + ":quarantine_size_mb=1"}
    got = run(scripts.host, "--peak", str(writer), *options, "script.lua", cwd=scripts.directory,
              pass_fds=[writer], env=environment)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        return got, int(pipe.read())


def check_peak(scripts):
    got, peak = peak_of(scripts, "print(1)")
    expect(got == (0, "1\n", "") and peak > 500, "--peak", (got, peak))


def check_flat(scripts, lives, *options):
    """That many runtimes in a row take no more memory than the first thousand. How much of the programs'
    files is resident changes with the machine's other work; what a life loses is lost each time."""
    tries = []
    while not tries or len(tries) < 3 and tries[-1][1] >= tries[-1][0] + 512:
        got, few = peak_of(scripts, "print(1)", *options, "--lives", "1000")
        expect(got == (0, "1\n" * 1000, ""), f"1000 lives {options}", got)
        _, many = peak_of(scripts, "print(1)", *options, "--lives", str(lives))
        tries.append((few, many))
    few, many = tries[-1]
    expect(many < few + 512, f"the peak of {lives} lives {options}", tries)


def check_lives(scripts):
    check_flat(scripts, 10000)
    got = scripts.run("error('early')", "--lives", "3")
    expect(got[0] == 1 and got[2].count("early") == 1, "the first life that fails ends it", got)
    got = run(scripts.host, "--lives", "3", cwd=scripts.directory)
    expect(got == (0, "", ""), "lives without a script", got)
    for allocator in "fief", "libc":
        got = run(scripts.host, "--allocator", allocator, "--lives", "3", "--json",
                  cwd=scripts.directory)
        expect(got[0] == 0 and got[2].count("schema") == 1, "and their statistics", got)


# ---- dropping ----

FINALIZED = "setmetatable({}, {__gc = function() print('finalized') end}) print('ran')"


def check_drop(scripts):
    """What is left goes with the runtime, and nobody is told."""
    expect(scripts.run(FINALIZED) == (0, "ran\nfinalized\n", ""), "a close runs finalizers", None)
    expect(scripts.run(FINALIZED, "--drop") == (0, "ran\n", ""), "a drop runs none", None)
    got = scripts.run("os.exit(3)", "--drop")
    expect(got == (3, "", ""), "os.exit's status", got)
    check_flat(scripts, 3000, "--drop")


# ---- memory that runs out ----

GREEDY = "local t = {} for i = 1, 1e7 do t[i] = ('x'):rep(1000) .. i end"


def check_limit(scripts):
    caught = (f"local ok, message = pcall(function() {GREEDY} end)\n"
              "print(ok, message)\n"
              "collectgarbage()\n"
              "local again = {} for i = 1, 1000 do again[i] = {i} end print(#again)")
    for allocator in ("fief", "libc"):
        options = ("--limit", "2000000", "--allocator", allocator)
        got = scripts.run(caught, *options)
        expect(got == (0, "false\tnot enough memory\n1000\n", ""), f"caught, {allocator}", got)
        status, stdout, stderr = scripts.run("print('before') " + GREEDY, *options)
        expect((status, stdout) == (1, "before\n"), f"not caught, {allocator}", (status, stdout))
        expect(stderr == "fief-lua: not enough memory\n", f"not caught, {allocator}", stderr)
        got = scripts.run("local s = ('x'):rep(1 << 30)", *options)
        expect(got[0] == 1 and "not enough memory" in got[2], f"one huge string, {allocator}", got)
        for gc in ("generational", "incremental"):
            got = scripts.run(caught, *options, "--gc", gc)
            expect(got[0] == 0, f"caught, {allocator}, {gc}", got)


# ---- programs ----

def check_programs(scripts, programs):
    found = sorted(pathlib.Path(programs).glob("*.lua"))
    expect(len(found) == 6, "there are six programs", found)
    for program in found:
        fief = run(scripts.host, "--allocator", "fief", str(program), SCALE)
        libc = run(scripts.host, "--allocator", "libc", str(program), SCALE)
        expect(fief == libc, f"{program.name}: the same with fief and libc", (fief, libc))
        expect(fief[0] == 0 and fief[1] != "" and fief[2] == "", f"{program.name} runs", fief)
        limited = run(scripts.host, "--gc", "incremental", "--limit", "1G", str(program), SCALE)
        expect(limited == fief, f"{program.name}: the same below a limit", limited)
        if LUA:
            lua = run(LUA, str(program), SCALE)
            expect(lua[:2] == fief[:2], f"{program.name}: the same with lua5.4", (lua, fief))


def main(host, programs):
    if not os.access(host, os.X_OK):
        print(f"skipped: there is no {host}")
        return 77
    print("compared with", LUA or "constants: lua5.4 is not installed")
    with tempfile.TemporaryDirectory() as directory:
        scripts = Scripts(host, directory)
        for check in (check_errors, check_missing_script, check_bad_options, check_good_limits,
                      check_tiny_limits, check_arguments, check_statistics, check_peak,
                      check_lives, check_drop, check_limit):
            check(scripts)
        check_programs(scripts, programs)
    print("failures:", failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
