#!/usr/bin/env python3
"""demo.py SOURCE BUILD release|debug: does ./dev demo run to its end, and say what it promises?

The release build shows everything but the mistakes, which are the debug build's. No figure is
compared with another: a slow or busy machine must not turn a pass into a failure.
"""
import os
import pathlib
import pty
import re
import subprocess
import sys
import tempfile

SOURCE, BUILD, MODE = sys.argv[1:]
DEMO = [sys.executable, os.path.join(SOURCE, "examples/demo/demo.py")]
PARTS = 8
STRATEGIES = ["vm arena", "compiler arena", "stack", "pool", "heap"]
LOX = ["start", "compile", "trees", "objects", "closures", "strings", "calls", "geomean"]
LUA = ["binary-trees", "closures", "json", "live-tree", "strings", "tables", "geomean"]
PLAIN = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "CLICOLOR_FORCE")}


def must(condition, message):
    if not condition:
        sys.exit("demo: " + message)


def run(*arguments, command=DEMO, **variables):
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, env={**PLAIN, **variables})


def check_refusals(command, bad):
    for arguments in bad:
        done = run(*arguments, command=command)
        must(done.returncode == 2, f"{arguments}: status {done.returncode}, not 2")
        must(done.stdout == "", f"{arguments}: something on stdout")
        must(done.stderr.count("\n") == 1 and done.stderr.endswith("\n"),
             f"{arguments}: not one line: {done.stderr}")


def check_arguments():
    check_refusals(DEMO, (["--nope"], ["stray"], ["--part"], ["--part", "0"], ["--part", "x"],
                          ["--part", str(PARTS + 1)], ["--built", "one"], ["--tou"]))
    dev = ["bash", os.path.join(SOURCE, "dev"), "demo"]
    check_refusals(dev, (["--nope"], ["stray"], ["--part", "x"], [""]))
    must("'--tour'" in run("--tuor", command=dev).stderr, "dev names no nearest argument")
    done = run("--help")
    must(done.returncode == 0 and "--tour" in done.stdout, "--help does not help")


def part(text, number):
    end = rf"(?=^\[{number + 1}/|^demo: done)"
    found = re.search(rf"^\[{number}/{PARTS}\] .*?{end}", text, re.M | re.S)
    must(found, f"part {number} is missing in\n{text}")
    return found.group()


def rows(text, names, numbers):
    """Each name begins a line with so many numbers, none of them nan or a dash."""
    for name in names:
        found = re.search(rf"^ *{name}  +(.*)", text, re.M)
        must(found, f"no row of {name} in\n{text}")
        count = len(re.findall(r"(?<![\w.+-])-?\d[\d,]*(?:\.\d+)?(?!\w)", found.group(1)))
        must(count >= numbers, f"{count} numbers, not {numbers}, in the row {found.group()!r}")


def check_run():
    done = run("--quick", "--built", BUILD, "none")
    must(done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}")
    lines = done.stdout.splitlines()
    must(re.fullmatch(r"fief demo   .*, \d+ cores +8 parts", lines[0]),
         f"the header is {lines[0]!r}")
    must("\033" not in done.stdout and "\r" not in done.stdout, "a pipe gets colours")
    for line in lines:
        must(len(line) <= 79 and line == line.rstrip(), f"too long, or blanks at its end: {line!r}")
    must([n for n in re.findall(r"^\[(\d)/8\]", done.stdout, re.M)] == list("12345678"),
         "the parts are not 1 to 8")
    must(len(re.findall(r"^ +-> .", part(done.stdout, 2), re.M)) == len(STRATEGIES),
         "not every example says something")
    rows(part(done.stdout, 3), STRATEGIES, 3)
    rows(part(done.stdout, 4), LOX[:-1], 5)
    rows(part(done.stdout, 4), LOX[-1:], 2)
    if "skipped" not in part(done.stdout, 5):
        rows(part(done.stdout, 5), LUA[:-1], 5)
        rows(part(done.stdout, 5), LUA[-1:], 2)
    replayed = part(done.stdout, 6).split("replayed", 1)[1]
    rows(replayed, STRATEGIES, 7)
    must("skipped" in part(done.stdout, 7), "mistakes without a debug build")
    must("figures mean nothing" in lines[-1], f"the last line is {lines[-1]!r}")


def check_header():
    """At once, and before anything is measured."""
    child = subprocess.Popen([*DEMO, "--built", BUILD, "none"], stdout=subprocess.PIPE, text=True,
                             env=PLAIN)
    line = child.stdout.readline()
    child.terminate()
    child.communicate()
    must(re.search(r" 8 parts, about \d+ s   \(--tour\)$", line), f"the header is {line!r}")


def check_tour():
    plain, tour = (run("--quick", "--part", "2", *more, "--built", BUILD, "none").stdout
                   for more in ((), ("--tour",)))
    must(len(tour) > len(plain) + 500, "the tour explains nothing")
    forced = run("--part", "8", "--built", BUILD, "none", CLICOLOR_FORCE="1").stdout
    must("\033[1m[8/8]" in forced, "CLICOLOR_FORCE colours nothing")
    plain = run("--part", "8", "--built", BUILD, "none", CLICOLOR_FORCE="1", NO_COLOR="1").stdout
    must("\033" not in plain, "NO_COLOR is coloured")


def check_terminal():
    """There the tour waits: Enter goes on, q ends."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen([*DEMO, "--tour", "--built", BUILD, "none"], stdin=theirs,
                             stdout=theirs, stderr=theirs, env=PLAIN)
    os.close(theirs)
    seen, answers = b"", [b"\n", b"q\n"]
    try:
        while True:
            seen += os.read(ours, 4096)
            if answers and seen.count(b"q ends ") > 2 - len(answers):
                os.write(ours, answers.pop(0))
    except OSError:  # that is how a terminal ends
        pass
    must(child.wait() == 0, f"q ends with {child.returncode}")
    must(b"[2/8]" in seen and b"[3/8]" not in seen, f"Enter and q lead elsewhere:\n{seen!r}")


def check_patterns():
    """Counts that we know, of a program that we know."""
    with tempfile.TemporaryDirectory() as directory:
        script = pathlib.Path(directory) / "known.lox"
        script.write_text("class Pair {} fun f() { fun g() {} } var last;\n"
                          "for (var i = 0; i < 100; i = i + 1) { f(); last = Pair(); }\n")
        program = [os.path.join(BUILD, "examples/demo/patterns"), "--quick"]
        done = run(str(script), command=program)
        must(done.returncode == 0, f"patterns: {done.returncode} {done.stderr}")
        must(re.search(r"^closure +pool +102 ", done.stdout, re.M),  # the script's, f, 100 of g
             f"not 102 closures:\n{done.stdout}")
        must(re.search(r"^instance of \d +pool +100 ", done.stdout, re.M), "not 100 instances")
        must(re.search(r"^frame +stack +101 .* 100 % popped", done.stdout, re.M), "not 101 frames")
        shares = [float(n) for n in re.findall(r"[\d.]+(?= %)", done.stdout.split("\n", 1)[0])]
        must(len(shares) == 5 and abs(sum(shares) - 100) < 0.3, f"shares of {shares}")
        script.write_text("print 1 +;\n")
        must(run(str(script), command=program).returncode == 1, "a program that fails is accepted")
        for bad in ([], ["--quick"], [str(script), "more"], ["--nope", str(script)]):
            check_refusals(program[:1], [bad])


def check_mistakes():
    done = run("--part", "7", "--built", "none", BUILD)
    must(done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}")
    for name in ("overflow", "wrong-allocator", "leak"):
        must(f"SUMMARY: fief: {name} " in done.stdout, f"no {name} in\n{done.stdout}")


def check_missed_mistakes():
    """Where nobody looks, the demo must not say that all is well."""
    done = run("--part", "7", "--built", "none", BUILD)
    must(done.returncode == 1 and "not caught" in done.stderr, f"status {done.returncode}")


CHECKS = {
    "release": (check_arguments, check_run, check_header, check_tour, check_terminal, check_patterns,
                check_missed_mistakes),
    "debug": (check_mistakes,),
}

if __name__ == "__main__":
    for check in CHECKS[MODE]:
        check()
