#!/usr/bin/env python3
"""Checks the fuzzing system without an engine, as TAP.

    check.py DRIVER DRIVER-OOM SOURCE-ROOT
    check.py DRIVER DRIVER-OOM SOURCE-ROOT COMPILER [FLAG...]

Without a compiler, what the library does with programs: the corpus is replayed and its digests
compared with corpus/digests.txt, which every mode must match; records of misuse make it again;
random programs run.

With one, what the drivers do with the forms of programs: they go from one to another and come back;
some, as C, are compiled and run; bad input is refused in one line. The flags are for compiling C; the
last may be the library. The reader of images stands beside the drivers.
"""
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile

DRIVER, DRIVER_OOM, ROOT = map(os.path.abspath, sys.argv[1:4])
DRIVER_IMAGE = DRIVER + "-image"
COMPILE = sys.argv[4:]
CORPUS = os.path.join(ROOT, "corpus")
TARGETS = ["arena", "stack", "pool", "heap", "runtime", "table", "ops_text", "lox"]
RUNS = "150"

count = failed = 0


def report(sound, name, detail=""):
    global count, failed
    count += 1
    failed += not sound
    print(f"{'ok' if sound else 'not ok'} {count} - {name}")
    for line in [] if sound else detail.strip().splitlines()[-20:]:
        print(f"# {line}")


def run(*words):
    done = subprocess.run(words, capture_output=True, timeout=600)
    return done.returncode, done.stdout, done.stderr.decode(errors="replace")


def programs():
    """The corpus's texts that are programs, the parser's own inputs left out."""
    for target in sorted(os.listdir(CORPUS)):
        folder = os.path.join(CORPUS, target)
        if os.path.isdir(folder) and target not in ("ops_text", "lox", "image"):
            for name in sorted(os.listdir(folder)):
                if name.endswith(".ops"):
                    yield target, os.path.join(folder, name)


def check_replay():
    for driver in (DRIVER, DRIVER_OOM):
        status, out, error = run(driver, CORPUS_FILES)
        report(status == 0, f"{os.path.basename(driver)} replays the corpus", error)
    status, out, error = run(DRIVER_IMAGE, os.path.join(CORPUS, "image"))
    report(status == 0 and b": ok, " in out, "fief-fuzz-image replays its corpus", error)


def check_digests():
    """One line a file; a loose runtime (a buffer, the OS that fails) adds nothing to its digest."""
    status, out, error = run(DRIVER, "--digest", CORPUS_FILES)
    found = {}
    for line in out.decode().splitlines():
        digest, path = line.split("  ", 1)
        found[os.path.relpath(path, CORPUS_FILES)] = digest
    if "--write" in os.environ.get("FIEF_FUZZ_DIGESTS", ""):
        with open(os.path.join(CORPUS, "digests.txt"), "w") as file:
            file.writelines(f"{found[name]}  {name}\n" for name in sorted(found))
    with open(os.path.join(CORPUS, "digests.txt")) as file:
        expected = {line.split("  ", 1)[1].strip(): line.split("  ", 1)[0] for line in file}
    for name in sorted(set(expected) | set(found)):
        sound = expected.get(name) == found.get(name)
        report(sound, f"digest of {name}",
               f"expected {expected.get(name)}, found {found.get(name)}\n{error}")


def check_forms(scratch):
    """bytes -> text -> bytes, and text -> program -> text."""
    for target, path in programs():
        kind = ["--target", target]
        raw, again = os.path.join(scratch, "raw"), os.path.join(scratch, "again.ops")
        _, first, error = run(DRIVER, *kind, "--text", path)
        _, data, why = run(DRIVER, *kind, "--bytes", path)
        with open(raw, "wb") as file:
            file.write(data)
        _, second, _ = run(DRIVER, *kind, "--text", raw)
        with open(again, "wb") as file:
            file.write(second)
        _, last, _ = run(DRIVER, *kind, "--bytes", again)
        report(first != b"" and first == second and data == last,
               f"forms of {os.path.relpath(path, CORPUS)}",
               error or why or "the text or the bytes differ")


def check_c(scratch):
    """The C form compiles without a warning, and does the same to its end."""
    source, program = os.path.join(scratch, "repro.c"), os.path.join(scratch, "repro")
    for target, path in programs():
        if target == "oom":
            continue
        _, text, error = run(DRIVER, "--target", target, "--c", path)
        with open(source, "wb") as file:
            file.write(text)
        status, _, error = run(*COMPILE[:1], "-g", "-Wall", "-Werror", source, *COMPILE[1:], "-pthread",
                               "-o", program)
        if status == 0:
            status, out, error = run(program)
            status = status or b"repro: the end" not in out
        report(status == 0, f"C form of {os.path.relpath(path, CORPUS)}", error)


def refused(name, expected, *words, driver=DRIVER):
    status, out, error = run(driver, *words)
    lines = error.strip().splitlines()
    sound = status == 1 and len(lines) == 1 and expected in lines[0]
    report(sound, f"refused: {name}", f"expected '{expected}', status {status}: {error}")


BAD_LINES = [
    ("an unknown operation", "open usual\nallocate b0 12\n", ":2: expected an operation, found 'allocate'"),
    ("another handle", "free a0\n", ":1: expected a block (b0 .. b95), found 'a0'"),
    ("a handle that is too large", "free b96\n", "found 'b96'"),
    ("a missing operand", "\n\nalloc b0\n", ":3: expected a size"),
    ("a word too many", "close now\n", ":1: expected the end of the line, found 'now'"),
    ("a size that has none", "alloc b0 2000000\n", "found '2000000'"),
    ("a negative size", "alloc b0 -1\n", "found '-1'"),
    ("a number that overflows", "alloc b0 99999999999999999999\n", "expected a size"),
    ("an alignment between two", "alloc_aligned b0 8 24\n", "expected an alignment"),
    ("an unknown context", "new b0 k0 dynamical 8\n", "expected a context"),
    ("too many operations", "check\n" * 401, ":401: expected the end"),
    ("control characters", "al\x01loc b0 1\n", "found 'al?loc'"),
    ("comments alone", "# nothing\n", "is empty"),
]


def check_bad_input(scratch):
    path = os.path.join(scratch, "bad.ops")
    for name, text, expected in BAD_LINES:
        with open(path, "w") as file:
            file.write(text)
        refused(name, expected, path)
    empty = os.path.join(scratch, "empty")
    os.mkdir(empty)
    refused("an empty directory", "the corpus is empty", empty)
    refused("a file that is not there", "No such file", os.path.join(scratch, "none"))
    for form in ("--text", "--c", "--bytes"):
        refused(f"{form} of an empty file", "is empty", form, os.devnull)
    large = os.path.join(scratch, "large")
    with open(large, "wb") as file:
        file.write(bytes(2 << 20))
    refused("a file that is too large", "larger than 1 MiB", large)
    status, _, error = run(DRIVER, "--target", "nothing", "--seconds", "1")
    report(status == 2 and "usage:" in error, "refused: an unknown target", error)


def put(path, text):
    """Writes a file, with its folders; returns its path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    return path


def check_texts(scratch):
    """An input of the parser or of Lox is a text and nothing else, an image not even that."""
    sound = put(os.path.join(scratch, "ops_text", "sound"), "alloc b0   12 # a block\n")
    wrong = put(os.path.join(scratch, "ops_text", "wrong"), "open usual\nallocate b0 12\n")
    lox = put(os.path.join(scratch, "lox", "x.lox"), "print 1;\n")
    image = put(os.path.join(scratch, "image", "cut"), "x")
    status, out, error = run(DRIVER, "--text", sound)
    report(status == 0 and out == b"alloc b0 12\n", "--text of ops_text is what was parsed", error)
    refused("--text of ops_text that does not parse", f"{wrong}:2: expected an operation", "--text",
            wrong)
    status, out, error = run(DRIVER, "--text", lox)
    report(status == 0 and out == b"print 1;\n", "--text of lox is its text", error)
    for form, name in (("--c", "C form"), ("--bytes", "bytes")):
        for path in (sound, lox):
            refused(f"{form} of {os.path.relpath(path, scratch)}", f"has no {name}", form, path)
    for form in ("--text", "--c", "--bytes"):
        refused(f"{form} of an image", "input of image", form, image)
        refused(f"{form} of an image, by its own program", f"{image}: an image is no program", form,
                image, driver=DRIVER_IMAGE)


def check_other_programs(scratch):
    """What another program runs is refused where it is named, and counted in a directory."""
    oom = put(os.path.join(scratch, "others", "oom", "x.ops"), "open usual\n")
    image = put(os.path.join(scratch, "others", "image", "x"), "x")
    heap = put(os.path.join(scratch, "others", "heap", "x.ops"), "open usual\n")
    refused("a file of oom", "is an input of oom: fief-fuzz-oom runs it", heap, oom)
    refused("a file of image", "is an input of image: fief-fuzz-image runs it", image)
    refused("a file of heap, by fief-fuzz-oom", "heap: fief-fuzz runs it", heap, driver=DRIVER_OOM)
    refused("a directory of oom", "left out: 1, and no input was its own",
            os.path.dirname(oom))
    status, out, error = run(DRIVER, os.path.join(scratch, "others"))
    report(status == 0 and "left out: 2" in error and out.count(b": ok, ") == 1,
           "a directory's inputs of other programs are counted", error)
    status, _, error = run(DRIVER, "--target", "image", "--runs", "1")
    report(status == 2 and "no target of this program" in error, "refused: random images", error)


def check_nearest_target(scratch):
    """The last folder that has a target's name says the target."""
    path = put(os.path.join(scratch, "arena", "checkout", "corpus", "heap", "seed"),
               "".join(map(chr, range(1, 100))))
    texts = [run(DRIVER, *kind, "--text", path)[1]
             for kind in ([], ["--target", "heap"], ["--target", "arena"])]
    report(texts[0] == texts[1] and texts[1] != texts[2],
           "a target's name above the checkout says nothing")


def check_alien_operations(scratch):
    """Bytes are read as the target's operations."""
    path = put(os.path.join(scratch, "alien.ops"), "open usual\nunit_begin\nalloc b0 12\n")
    refused("bytes of another target's operation",
            f"{path}: operation 2, unit_begin, is none of heap's", "--target", "heap", "--bytes", path)
    status, out, error = run(DRIVER, "--target", "runtime", "--bytes", path)
    report(status == 0 and out != b"", "bytes of the target's own operations", error)


def check_c_of_failures(scratch):
    """No call of the API makes the OS fail, which the C form says."""
    path = put(os.path.join(scratch, "oom", "fails.ops"), "open usual\nfail 0\nalloc b0 12\n")
    _, with_fail, error = run(DRIVER_OOM, "--c", path)
    with open(path, "w") as file:
        file.write("open usual\nalloc b0 12\n")
    _, without, _ = run(DRIVER_OOM, "--c", path)
    told = f"With them: ./dev replay {path}".encode()
    report(told in with_fail and b"int main" in with_fail and told not in without,
           "the C form says that the OS's failures are not in it", error)


STUB = """#!/bin/sh
case $0 in
*/fuzz/fief-fuzz*) for word; do echo "${0##*/} $word"; done ;;
esac
exit 0
"""


def check_dev(scratch):
    """./dev, in a tree of its own whose programs say what they are given."""
    root, made = os.path.join(scratch, "arena", "tree"), []
    shutil.copytree(os.path.join(ROOT, "sanitizers"), os.path.join(root, "sanitizers"))
    shutil.copy(os.path.join(ROOT, "dev"), root)
    put(os.path.join(root, "corpus", "digests.txt"), "no input\n")
    put(os.path.join(root, "build", "debug", "build.ninja"), "")
    for name in ("fief-fuzz", "fief-fuzz-oom", "fief-fuzz-image"):
        made.append(put(os.path.join(root, "build", "debug", "fuzz", name), STUB))
    made += [put(os.path.join(scratch, "bin", name), STUB) for name in ("ninja", "meson")]
    for program in made:
        os.chmod(program, 0o755)
    for target in ("heap", "image", "lox", "oom"):
        put(os.path.join(root, "corpus", target, "x y"), "x")

    def dev(*words):
        path = os.path.join(scratch, "bin") + os.pathsep + os.environ["PATH"]
        done = subprocess.run([os.path.join(root, "dev"), *words], capture_output=True, text=True,
                              env={**os.environ, "PATH": path})
        return done.stdout.splitlines(), done.stderr

    expected = ["fief-fuzz corpus/heap/x y", "fief-fuzz corpus/lox/x y",
                "fief-fuzz-oom corpus/oom/x y", "fief-fuzz-image corpus/image/x y"]
    found, error = dev("replay", "corpus")
    report(found == expected, "./dev replay takes each file to its program", f"{found}\n{error}")
    found, error = dev("replay", os.path.join(scratch, "oom", "a/heap/none"), "corpus/oom")
    report(found == [f"fief-fuzz {scratch}/oom/a/heap/none", "fief-fuzz-oom corpus/oom/x y"],
           "./dev replay looks at the last folder", f"{found}\n{error}")
    found, error = dev("show", "corpus/oom/x y", "--c")
    report(found == ["fief-fuzz-oom --c", "fief-fuzz-oom corpus/oom/x y"],
           "./dev show asks the file's program", f"{found}\n{error}")


def check_planted():
    """A tree that breaks later leaves the table of what was found before."""
    sys.path.insert(0, os.path.join(ROOT, "tools"))
    sys.dont_write_bytecode = True
    import planted
    planted.results_of = lambda *_: iter([("first-bug", {"tests": True}, None),
                                          ("second-bug", None, "it does not compile")])
    out, status = io.StringIO(), None
    try:
        with contextlib.redirect_stdout(out):
            planted.main(["--root", ROOT, "--with", "tests"])
    except SystemExit as end:
        status = end.code
    report("first-bug" in out.getvalue() and status == "planted: it does not compile",
           "./dev planted prints what it found before it broke", f"{status}\n{out.getvalue()}")


def check_truncated(scratch):
    """Bytes that end in the middle of an operation are a program, too."""
    path = os.path.join(scratch, "cut")
    _, data, _ = run(DRIVER, "--bytes", next(p for t, p in programs() if t == "runtime"))
    sound = len(data) > 8
    for size in range(1, len(data), 3):
        with open(path, "wb") as file:
            file.write(data[:size])
        status, _, error = run(DRIVER, path)
        sound = sound and status == 0
    report(sound, "truncated bytes are programs")


def recorded(scratch, name, *files):
    """The files that config.record_ops leaves while these run: (class of the misuse, path)."""
    folder = os.path.join(scratch, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    status, _, error = run(DRIVER, "--record", folder, *files)
    left = [(kept[5:-4], os.path.join(folder, kept)) for kept in sorted(os.listdir(folder))]
    return left if status == 0 else [(error, files[-1])]


def check_records(scratch):
    """What a report leaves behind makes the same misuse again; there is none in a release build."""
    programs_with_misuse = [path for target, path in programs() if target in ("runtime", "arena")]
    left = recorded(scratch, "recorded", *programs_with_misuse)
    for number, (misuse, path) in enumerate(left):
        again = [found for found, _ in recorded(scratch, "again", path)]
        report(misuse in again, f"record {number} replays: {misuse}", f"{path}: found {again}")
    status, out, error = run(DRIVER, "--record", os.path.join(scratch, "none/none"),
                             *programs_with_misuse)
    report(status == 0, "a record that cannot be written changes nothing", error)


def check_random():
    for target in TARGETS:
        status, out, error = run(DRIVER, "--target", target, "--runs", RUNS, "--seed", "7")
        report(status == 0, f"{RUNS} random programs of {target}", error)
    status, out, error = run(DRIVER_OOM, "--target", "oom", "--runs", RUNS, "--seed", "7")
    report(status == 0, f"{RUNS} random programs of oom", error)


def check_dictionaries(scratch):
    run(sys.executable, os.path.join(ROOT, "fuzz", "dict.py"), scratch)
    for name in sorted(os.listdir(os.path.join(ROOT, "fuzz", "dict"))):
        with open(os.path.join(ROOT, "fuzz", "dict", name)) as kept, \
                open(os.path.join(scratch, name)) as made:
            report(kept.read() == made.read(), f"dict/{name} is current", "run fuzz/dict.py")


CORPUS_FILES = None

with tempfile.TemporaryDirectory() as scratch_folder:
    # Folders alone: the digests are no input.
    CORPUS_FILES = os.path.join(scratch_folder, "corpus")
    os.mkdir(CORPUS_FILES)
    for entry in sorted(os.listdir(CORPUS)):
        if os.path.isdir(os.path.join(CORPUS, entry)):
            os.symlink(os.path.join(CORPUS, entry), os.path.join(CORPUS_FILES, entry))
    if COMPILE:
        check_forms(scratch_folder)
        check_bad_input(scratch_folder)
        check_texts(scratch_folder)
        check_other_programs(scratch_folder)
        check_nearest_target(scratch_folder)
        check_alien_operations(scratch_folder)
        check_c_of_failures(scratch_folder)
        check_dev(scratch_folder)
        check_planted()
        check_dictionaries(scratch_folder)
        check_c(scratch_folder)
    else:
        check_replay()
        check_digests()
        check_truncated(scratch_folder)
        check_records(scratch_folder)
        check_random()
print(f"1..{count}")
sys.exit(failed != 0)
