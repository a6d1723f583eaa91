#!/usr/bin/env python3
"""Images of Lox: what a program defines comes back from the map, and what could change is refused.
Speaks TAP.

usage: image.py LOX PRELUDE_MAKER     the second writes a prelude of so many bytes
"""
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import end, report  # noqa: E402

USE = """
print greeting7; print sum3(10);
var n = Named50("n", 1, 2); print n.describe(); print n.plus(Vector50(1, 1)).x;
class Mine < Named5 { describe() { return "mine " + super.describe(); } }
var m = Mine("q", 3, 4); print m.describe(); print m.dot(n);
m.extra = 3; print m.extra; n.other = 4; print n.other;
for (var i = 0; i < 3; i = i + 1) { var v = Vector2(i, i); v.z = i; print v.z + v.dot(v); }
fun clamp0(a) { return a; } print clamp0(3); print clamp1(9, 1, 5);
greeting7 = "changed"; print greeting7; print Vector3; print sum3; print clock() >= 0;
"""
REFUSED = {
    "an instance": ("class A {} var box = A();", "'box' holds an instance"),
    "a bound method": ("class A { m() {} } var bound = A().m;", "'bound' holds a bound method"),
    "a counter": ("fun make() { var i = 0; fun next() { i = i + 1; return i; } return next; }"
                  " var count = make();", "'count' holds a closure that assigns"),
    "a counter within": ("fun make() { var i = 0; fun outer() { fun inner() { i = i + 1; }"
                         " return inner; } return outer; } var deep = make();",
                         "'deep' holds a closure that assigns"),
    "an instance behind a closure": ("class A {} fun make(a) { fun get() { return a; } return get; }"
                                     " var hidden = make(A());", "'hidden' holds an instance"),
}
KEPT = {
    "a closure over what is never assigned":
        ("fun make(a) { fun get() { return a; } return get; } var get = make(\"a\" + \"b\");",
         "print get();", "ab\n"),
    "a string that became a literal": ("var s = \"a\" + \"b\"; var t = \"x\"; { var u = \"ab\"; }",
                                       "print s == \"a\" + \"b\"; print s == \"ab\"; print t;",
                                       "true\ntrue\nx\n"),
    "a closure of itself": ("fun outer() { var f; fun g(n) { return n; } return g; } var g = outer();",
                            "print g(2);", "2\n"),
    "super": ("class A { m() { return \"A\"; } } class B < A { m() { return super.m() + \"B\"; } }"
              " class C < B { m() { return super.m() + \"C\"; } }",
              "print C().m(); class D < C {} print D().m(); var c = C(); print c.m() == c.m();",
              "ABC\nABC\ntrue\n"),
    "values": ("var a = 1.5; var b = true; var c; var d = \"\"; var e = clock;",
               "print a; print b; print c; print d; print e; print e() >= 0;",
               "1.5\ntrue\nnil\n\n<native fn>\ntrue\n"),
}


def run(lox, *args, text=None):
    done = subprocess.run([lox, *args], capture_output=True, text=True, input=text, timeout=300,
                          check=False)
    return done.returncode, done.stdout, done.stderr


def refuses(result, status, words, what):
    line = result[2].count("\n") == 1 and words in result[2]
    report(result[0] == status and result[1] == "" and line, what, result)


def same_as_source(lox, folder):
    prelude, image, use = folder / "prelude.lox", folder / "prelude.img", folder / "use.lox"
    use.write_text(USE)
    report(run(lox, "--save-image", image, prelude) == (0, "", ""), "a prelude is saved")
    expected = run(lox, prelude, use)
    report(expected[0] == 0 and expected[1].count("\n") > 15, "the prelude is used", expected)
    for options in ([], ["--gc-stress"], ["--limit", "64M"], ["--stats"]):
        got = run(lox, *options, "--image", image, use)
        report(got[:2] == expected[:2], f"the same from the image {' '.join(options)}", got)
    report(run(lox, "--image", image, text=USE)[1].endswith(expected[1].split("\n")[-2] + "\n"),
           "the same, line by line")
    got = run(lox, "--repeat", "5", "--image", image, use)
    report(got[1] == 5 * expected[1], "the same five times", got)
    again = folder / "again.img"
    run(lox, "--save-image", again, prelude)
    report(image.read_bytes() == again.read_bytes(), "the same image twice")


def kept(lox, folder):
    image = folder / "kept.img"
    for what, (define, use, expected) in KEPT.items():
        saved = run(lox, "--save-image", image, "-e", define)
        got = run(lox, "--image", image, "-e", use)
        report(saved == (0, "", "") and got == (0, expected, ""), what, (saved, got))


def refused(lox, folder):
    image = folder / "refused.img"
    for what, (define, words) in REFUSED.items():
        refuses(run(lox, "--save-image", image, "-e", define), 74, words, f"{what} is refused")
        report(not image.exists(), "and no image is there")
    refuses(run(lox, "--save-image", image), 64, "a program must be there", "no program")
    refuses(run(lox, "--save-image", image, "--strategy", "all-heap", "-e", ""), 64, "all-heap",
            "all-heap")
    refuses(run(lox, "--save-image", image, "--image", image, "-e", ""), 64, "--save-image", "both")
    refuses(run(lox, "--save-image", folder / "no" / "x", "-e", ""), 74, "no new file", "no folder")
    report(run(lox, "--save-image", image, "-e", "print x;")[0] == 70 and not image.exists(),
           "a program that fails leaves none")


def bad_files(lox, folder):
    image, bad = folder / "prelude.img", folder / "bad.img"
    good = image.read_bytes()
    refuses(run(lox, "--image", folder / "none", "-e", ""), 70, "can't be opened", "no file")
    refuses(run(lox, "--image", folder, "-e", ""), 70, "is no file", "a folder")
    refuses(run(lox, "--image", "", "-e", ""), 64, "bad value", "no name")
    for what, data, words in (
            ("an empty file", b"", "too few"), ("a program", b"print 1;" * 1000, "begin like one"),
            ("half a file", good[:len(good) // 8192 * 4096], "by its header"),
            ("damage", good[:50000] + bytes([good[50000] ^ 1]) + good[50001:], "another hash"),
            ("an older version", good[:16] + b"\0" + good[17:], "save it again")):
        bad.write_bytes(data)
        refuses(run(lox, "--image", bad, "-e", ""), 70, words, what)
    refuses(run(lox, "--steps", "1000", "--image", image, "-e", ""), 70, "version",
            "code that counts no steps, where they are counted")


def figures(pid, image):
    """Of the mapping: what smaps says, in KiB."""
    found, figure = False, {}
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().split("\n"):
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            found = line.endswith(str(image))
        elif found and (match := re.match(r"(\w+): +(\d+) kB", line)):
            figure[match[1]] = figure.get(match[1], 0) + int(match[2])
    return figure


def shared(lox, folder):
    image = folder / "prelude.img"
    both = [subprocess.Popen([lox, "--image", image], stdin=subprocess.PIPE, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(2)]
    for process in both:
        process.stdin.write("print sum3(10);\nnobody;\n")  # an error flushes what was printed
        process.stdin.flush()
        process.stdout.readline()
    for process in both:
        seen = figures(process.pid, image)
        report(seen.get("Rss", 0) > 100 and 2 * seen["Pss"] <= seen["Rss"] + 8
               and seen["Private_Dirty"] == 0, "two processes share the image's pages", seen)
        print(f"# image: {seen.get('Rss')} KiB resident, {seen.get('Pss')} KiB of them this process's")
    for process in both:
        process.stdin.close()
        process.wait()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip().split("\n")[-1])
    lox = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prelude = subprocess.run([sys.argv[2], "80000"], capture_output=True, check=True).stdout
        (folder / "prelude.lox").write_bytes(prelude)
        same_as_source(lox, folder)
        kept(lox, folder)
        refused(lox, folder)
        bad_files(lox, folder)
        shared(lox, folder)
        suite = subprocess.run(
            [sys.executable, pathlib.Path(__file__).with_name("run.py"), lox,
             pathlib.Path(__file__).with_name("programs"), "--image", folder / "prelude.img"],
            capture_output=True, text=True, check=False)
        report(suite.returncode == 0 and "not ok" not in suite.stdout, "every program of the suite",
               suite.stdout[-1500:])
    return end()


if __name__ == "__main__":
    sys.exit(main())
