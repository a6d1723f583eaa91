#!/usr/bin/env python3
"""The mistakes of tests/misuse/ on what a user would have instead, side by side with Fief.

usage: peers.py DEBUG-TEST-MISUSE ASAN-TEST-MISUSE

Each mistake is made in the other library's own terms, in a process of its own. It is noticed where
the program dies of it, or says more on stderr than the program without it; what a peer has no words
for (no marks, no free) is "-". Prints a Markdown table, with the versions and the date."""
import datetime
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import matrix  # noqa: E402

# What is done wrong, the peers' name for it, the row that does it in Fief.
MISTAKES = (
    ("write 1 byte past a block", "write-past", "overflow-heap"),
    ("write 1 byte before a block", "write-before", "underflow-heap"),
    ("read past a block", "read-past", "read-past-heap"),
    ("write after free", "write-after-free", "write-after-free-heap"),
    ("read after free", "read-after-free", "read-after-free-heap"),
    ("read after the unit's end", "use-after-unit", "read-after-reset-unit"),
    ("read after a rewind", "use-after-rewind", "read-after-rewind-pages"),
    ("write through a stale pointer, memory reused", "stale-and-reused", "write-after-reuse-heap"),
    ("a live block points into an ending unit", "outlived", "dangling-at-reset-pool"),
    ("double free", "double-free", "double-free-heap"),
    ("double free, memory reused", "double-free-later", "double-free-heap"),
    ("free of an interior pointer", "interior-free", "interior-free-heap"),
    ("free of a stack address", "stack-free", "stack-free-heap"),
    ("free of an arena's block", "wrong-allocator", "wrong-allocator-unit-to-heap"),
    ("free with the wrong size", "wrong-size", "wrong-size-heap"),
    ("free under the wrong kind", "wrong-kind", "wrong-kind-heap"),
    ("units ended out of order", "unit-order", "unit-order-outer-first"),
    ("pop that is not the newest", "not-lifo", "not-lifo-older-first"),
    ("rewind to a stale mark", "stale-mark", "stale-mark-rewound"),
    ("use of what was closed", "use-of-closed", "use-of-a-closed-runtime-malloc"),
    ("close twice", "close-twice", "close-twice-runtime"),
    ("call from the wrong thread", "wrong-thread", "wrong-thread-heap"),
    ("leak", "leak", "leak-heap"),
    ("read of what nobody wrote", "uninitialised", "uninitialised-heap"),
)
VALGRIND = ["valgrind", "-q", "--vgdb=no", "--leak-check=full", "--error-exitcode=99"]


def package_version(name):
    done = subprocess.run(["pkg-config", "--modversion", name], capture_output=True, text=True,
                          check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def first_line(command):
    if shutil.which(command[0]) is None:
        return None
    return subprocess.run(command, capture_output=True, text=True,
                          check=False).stdout.splitlines()[0]


class Peer:
    def __init__(self, title, version, source, flags=(), package=None, wrapper=()):
        self.title, self.version = title, version
        self.source, self.flags, self.package = source, list(flags), package
        self.wrapper, self.program, self.has = list(wrapper), None, set()

    def build(self, folder):
        libraries = []
        if self.package is not None:
            libraries = subprocess.run(["pkg-config", "--cflags", "--libs", self.package], check=True,
                                       capture_output=True, text=True).stdout.split()
        self.program = folder / self.title.replace(" ", "-")
        subprocess.run(["gcc", "-g", "-O0", "-w", *self.flags, "-o", self.program,
                        HERE / self.source, *libraries], check=True)
        listed = subprocess.run([self.program, "--list"], capture_output=True, text=True, check=True,
                                env=self.environment())
        self.has = set(listed.stdout.split())

    def environment(self):
        return {**os.environ, "ASAN_OPTIONS": "detect_leaks=1", "GLIBC_TUNABLES": ""}

    def made(self, name, how):
        done = subprocess.run([*self.wrapper, self.program, name, how], capture_output=True, text=True,
                              errors="replace", check=False, env=self.environment())
        return done.returncode, done.stderr

    def cell(self, name, _row):
        if name not in self.has:
            return "-"
        status, said = self.made(name, "control")
        if status != 0:
            return f"control: {status}"
        mistaken = self.made(name, "mistake")
        return "noticed" if mistaken[0] != 0 or len(mistaken[1]) > len(said) else "missed"


class Fief:
    """The rows that the matrix judges; `next` and `now` as there."""

    def __init__(self, mode, program, table):
        self.title, self.mode = f"Fief {mode}", mode
        self.rows, self.table = matrix.Rows(mode, program), table

    def cell(self, _name, row_name):
        row = self.table[row_name]
        return matrix.judge_mistake(self.rows, row, self.mode, True).word()


def peers_here():
    valgrind = first_line(["valgrind", "--version"])
    glibc = first_line(["ldd", "--version"]).split()[-1]
    gcc = first_line(["gcc", "-dumpfullversion"])
    found = [Peer("malloc", f"glibc {glibc}", "malloc.c"),
             Peer("malloc, ASan", f"gcc {gcc}", "malloc.c", ["-fsanitize=address"])]
    if valgrind is not None:
        found.append(Peer("malloc, Valgrind", valgrind, "malloc.c", wrapper=VALGRIND))
    for title, package, source in (("talloc", "talloc", "talloc.c"), ("APR pool", "apr-1", "apr.c")):
        version = package_version(package)
        if version is not None:
            found.append(Peer(title, f"{title} {version}", source, package=package))
        else:
            print(f"peers: {package} is not installed", file=sys.stderr)
    return found


def main(debug, asan):
    table = {matrix.name_of(row): row for row in matrix.table_of(debug, "--rows")}
    columns = [Fief("debug", debug, table), Fief("asan", asan, table)]
    if shutil.which("valgrind") is not None:
        columns.append(Fief("valgrind", debug, table))
    with tempfile.TemporaryDirectory(prefix="fief-peers-") as scratch:
        peers = peers_here()
        for peer in peers:
            peer.build(pathlib.Path(scratch))
        columns += peers
        print(f"| | {' | '.join(column.title for column in columns)} |")
        print("|---" * (len(columns) + 1) + "|")
        for words, name, row in MISTAKES:
            cells = [column.cell(name, row) for column in columns]
            print(f"| {words} | {' | '.join(cells)} |", flush=True)
    versions = dict.fromkeys(peer.version for peer in peers)
    print(f"\n{datetime.date.today()}: {', '.join(versions)}.")


if __name__ == "__main__":
    main(*sys.argv[1:])
