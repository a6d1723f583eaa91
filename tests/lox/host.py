#!/usr/bin/env python3
"""Drives lox from outside: bad input, options, limits, statistics. Speaks TAP.

usage: host.py LOX [--guarded]     a guarded build is slower: its 100 MB are 10

Whatever happens, lox says so in its own words: never a signal, never a report.
Exit status 77 (skipped) without LOX.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

LOX = sys.argv[1]
IS_GUARDED = "--guarded" in sys.argv[2:]
LONG = 10_000_000 if IS_GUARDED else 100_000_000
count = failures = 0

ALLOCATES = """
class Tree {
  init(d) { this.d = d; if (d > 0) { this.l = Tree(d - 1); this.r = Tree(d - 1); } }
  count() { if (this.d == 0) return 1; return 1 + this.l.count() + this.r.count(); }
}
fun adder(n) { var a = n; var b = n; fun f() { a = a + 1; return a + b; } return f; }
var s = "";
for (var i = 0; i < 200; i = i + 1) { s = s + "xyz"; adder(i)(); Tree(4).count(); }
print Tree(9).count();
"""


def run(*args, source=None, **options):
    """(status, stdout, stderr) as bytes; `source` goes to a file, whose name is the last argument."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    with tempfile.NamedTemporaryFile(suffix=".lox") as file:
        if source is not None:
            file.write(source)
            file.flush()
            args = (*args, file.name)
        result = subprocess.run([LOX, *args], stderr=subprocess.PIPE, check=False, **options)
    return result.returncode, result.stdout, result.stderr


def is_clean(error):
    return b"fief: misuse" not in error and b"Sanitizer" not in error


def expect(what, got, status, out=None, error=None):
    """The three must be as said; `error`: how stderr begins."""
    global count, failures
    count += 1
    good = (got[0] == status and (out is None or got[1] == out)
            and (error is None or got[2].startswith(error)) and is_clean(got[2]))
    failures += not good
    print(f"{'ok' if good else 'not ok'} {count} {what}", flush=True)
    if not good:
        print(f"# {got[0]} {(got[1] or b'')[:200]!r} {got[2][:400]!r}")


def usage():
    expect("--help", run("--help"), 0, error=b"")
    for options in (["--limit"], ["--limit", "0"], ["--limit", "1X"], ["--limit", "-1"],
                    ["--limit", "99999999999999999999"], ["--frames", "x"], ["--strategy", "x"],
                    ["--peak", "x"], ["--peak", "0"], ["--heap", "x"], ["-x"], ["-e"], ["-e", "1;", "file"]):
        got = run(*options)
        expect(" ".join(["refused:", *options]), got, 64, b"", b"lox: ")
        expect("in one line", (got[2].count(b"\n"), b"", b""), 1)
    expect("--repeat", run("--repeat", "3", "-e", "print 1;"), 0, b"1\n1\n1\n", b"")
    got = run("--peak", "2", "-e", "print 1;")
    expect("--peak", (got[2].strip().isdigit() and int(got[2]) > 500, got[1], b""), True, b"1\n")
    got = run("--dump", "-e", "fun f(a) { return a.b + 1; } print f;")
    for word in (b"-- script", b"-- f", b"GET_LOCAL_PROPERTY b 1", b"ADD_NUMBER", b"PRINT"):
        expect(f"--dump shows {word.decode()}", (word not in got[1], b"", got[2]), 0)
    expect("--frames", run("--frames", "5000", "-e", """
        fun f(n) { if (n == 0) return 0; return 1 + f(n - 1); } print f(4000);"""), 0, b"4000\n")
    for source in (b"while (true) {}", b"fun f() { f(); f(); } f();", b"for (;;) clock();"):
        got = run("--steps", "1000", "--frames", "2000", "-e", source)
        expect(f"--steps ends {source.decode()}", got, 70, b"", b"Out of steps.\n[line 1] in ")
    expect("--steps that suffice", run("--steps", "4", "-e", "for (var i = 0; i < 3; i = i + 1) print i;"),
           0, b"0\n1\n2\n", b"")
    expect("-e", run("-e", "print 1 + 2;"), 0, b"3\n", b"")
    expect("--", run("--", "-no-file"), 74, b"", b'Could not open file "-no-file".\n')


def files():
    expect("a missing file", run("no-such-file.lox"), 74, b"", b'Could not open file "no-such')
    expect("a directory", run("/"), 74, b"", b'Could not read file "/".\n')
    expect("an empty file", run(source=b""), 0, b"", b"")
    with tempfile.TemporaryDirectory() as directory:
        first, second = (pathlib.Path(directory) / name for name in ("a.lox", "b.lox"))
        first.write_text("var shared = 1;", encoding="utf-8")
        second.write_text("print shared;", encoding="utf-8")
        expect("two files, one VM", run(str(first), str(second)), 0, b"1\n", b"")
        expect("the first error ends it", run(str(second), str(first)), 70, b"", b"Undefined")


def output():
    for options in ([], ["--gc-stress"]):
        with open("/dev/full", "wb") as full:
            expect("a full disk", run(*options, "-e", "print 1;", stdout=full), 74, error=b"lox: ")
    closed = subprocess.run(["sh", "-c", 'exec "$0" -e "print 1;" >&-', LOX],
                            stderr=subprocess.PIPE, check=False)
    expect("a closed stdout", (closed.returncode, None, closed.stderr), 74, error=b"lox: cannot")
    read_end, write_end = os.pipe()
    os.close(read_end)
    got = run("-e", "while (true) print 1;", stdout=write_end)
    os.close(write_end)
    expect("a reader that is gone ends an endless loop", got, 74, error=b"lox: cannot")


def bytes_of_all_kinds():
    expect("NUL outside of a string", run(source=b"print 1;\0print 2;"), 65, b"",
           b"[line 1] Error: Unexpected character.\n")
    expect("NUL within one", run(source=b'print "a\0b";'), 0, b"a\0b\n", b"")
    expect("a string of NULs is another", run(source=b'print "\0" == "\0\0";'), 0, b"false\n")
    expect("invalid UTF-8 in a string", run(source=b'print "\xff\xfe";'), 0, b"\xff\xfe\n", b"")
    expect("invalid UTF-8 elsewhere", run(source=b"var \xff;"), 65, b"", b"[line 1] Error: Unexp")
    everything = bytes(range(256)) * 64
    expect("every byte", run(source=everything), 65, b"", b"[line 1] Error: Unexpected")
    expect("every byte, as a comment", run(source=b"//" + everything.replace(b"\n", b"")), 0, b"")
    expect("CR LF", run(source=b"print 1;\r\nprint 2;\r\n"), 0, b"1\n2\n", b"")


def long_lines():
    for what, source, status, error in (
            ("a string", b'print "' + b"x" * LONG + b'" == "";', 0, b""),
            ("a name", b"var " + b"x" * LONG + b";", 0, b""),
            ("a comment", b"//" + b"x" * LONG, 0, b""),
            ("blanks", b" " * LONG, 0, b""),
            ("a number", b"print " + b"1" * LONG + b" > 0;", 0, b""),
            ("parentheses", b"(" * LONG, 65, b"[line 1] Error at '(': Too much nesting.\n"),
            ("blocks", b"{" * LONG, 65, b"[line 1] Error at '{': Too much nesting.\n"),
            ("minuses", b"-" * LONG, 65, b"[line 1] Error at '-': Too much nesting.\n"),
            ("bad bytes", b"@" * LONG, 65, b"[line 1] Error: Unexpected character.\n"),
            ("half a string", b'"' + b"x" * LONG, 65, b"[line 1] Error: Unterminated string.\n"),
            ("a sum", b"var a=1;a" + b"+a" * (LONG // 100) + b";", 0, b""),
            ("ones", b"print 1" + b"+1" * (LONG // 40) + b";", (0, 65), None)):
        got = run(source=source)
        statuses = status if isinstance(status, tuple) else (status,)
        fits = got[0] if got[0] in statuses else statuses[0]
        expect(f"{LONG // 1_000_000} MB of {what}", got, fits, error=error)


def limits():
    for options in ([], ["--gc-stress"], ["--strategy", "all-heap"],
                    ["--strategy", "all-heap", "--heap", "fief"]):
        statuses, size = set(), 1000
        good, total = 0, 0
        while size < 3_000_000:
            got = run("--limit", str(size), *options, source=ALLOCATES.encode())
            statuses.add(got[0])
            fits = (got[0] == 0 and got[1:] == (b"1023\n", b"")) or (
                got[0] == 70 and got[2].startswith(b"Out of memory.\n") and is_clean(got[2]))
            good, total = good + fits, total + 1
            if not fits:
                print(f"# --limit {size} {options}: {got[0]} {got[2][:300]!r}")
            size = size * 6 // 5 + 1
        expect(f"--limit {' '.join(options)}", (total - good, b"", b""), 0)
        expect("some are too small, some are not", (sorted(statuses) != [0, 70], b"", b""), 0)
    got = run("--limit", "1M", "-e", "fun f(s) { while (true) s = s + s; } f(\"x\");")
    expect("one string too many", got, 70, b"", b"Out of memory.\n[line 1] in f()\n[line 1] in s")
    lines = b'var s = "x";\nwhile (true) s = s + s;\nprint 1;\ns = nil;\nprint 2;\n'
    with tempfile.TemporaryFile() as file:
        file.write(lines)
        file.seek(0)
        got = run("--limit", "1M", stdin=file)
    expect("the REPL goes on", got, 0, b"1\n2\n", b"Out of memory.\n[line 1] in script\n")


def statistics():
    got = run("--stats", source=ALLOCATES.encode())
    expect("--stats", got, 0, b"1023\n")
    text = got[2].decode()
    for word in ("vm arena", "compiler arena", "stack", "pool", "heap", "token", "node", "literal",
                 "closure", "upvalue", "instance of 4", "frame", "collections"):
        expect(f"tells of {word}", (word not in text, b"", b""), 0)
    node = next(line.split() for line in text.split("\n")
                if line.startswith("node ") and "compiler arena" in line)
    expect("no node is left", (int(node[-3]), b"", b""), 0)
    expect("there were nodes", (int(node[-1]) < 1000, b"", b""), 0)
    got = run("--stats", "--strategy", "all-heap", source=ALLOCATES.encode())
    expect("--stats of libc", (b"libc: " not in got[2], b"", b""), 0)


def repl():
    def session(text):
        with tempfile.TemporaryFile() as file:
            file.write(text)
            file.seek(0)
            return run("--gc-stress", stdin=file)
    expect("lines share their globals", session(b"var a = 1;\nprint a;\n"), 0, b"1\n", b"")
    expect("an error does not end it", session(b"print x;\nprint 2;\n(\nprint 3;"), 0, b"2\n3\n",
           b"Undefined variable 'x'.\n[line 1] in script\n[line 2] Error at end: Expect expr")
    expect("functions outlive their line",
           session(b"fun f(n) { fun g() { return n + \"!\"; } return g; }\nvar g = f(\"a\");\n"
                   b"f = nil;\nprint g();\n"), 0, b"a!\n", b"")
    expect("classes, too", session(b"class A { f() { return this.x; } }\nvar a = A();\n"
                                   b"a.x = 3;\nA = nil;\nprint a.f();\n"), 0, b"3\n", b"")


def main():
    if not pathlib.Path(LOX).exists():
        sys.exit(77)
    for part in (usage, files, output, bytes_of_all_kinds, long_lines, limits, statistics, repl):
        part()
    print(f"1..{count}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
