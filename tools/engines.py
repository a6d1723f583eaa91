"""The engines that Fief is plugged into: their packages, their programs, and one run of one."""
import json
import os
import pathlib
import signal
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "examples/engines/programs"
LUA = ROOT / "examples/lua/programs"
# name: Debian's package, programs, has it an allocator of its own that is not libc's,
# the program and the scale whose allocations fail in turn
ENGINES = {
    "lua": ("liblua5.4-dev", sorted(LUA.glob("*.lua")), False, ("small.lua", 1)),
    "luajit": ("libluajit-5.1-dev",
               sorted(PROGRAMS.glob("luajit/*.lua")) + [LUA / "strings.lua"], True,
               ("small.lua", 1)),
    "duktape": ("duktape-dev", sorted(PROGRAMS.glob("js/*.js")), False, ("small.js", 1)),
    "mujs": ("libmujs-dev", sorted(PROGRAMS.glob("js/*.js")), False, ("small.js", 1)),
    "mruby": ("libmruby-dev", sorted(PROGRAMS.glob("ruby/*.rb")), False, ("strings.rb", 0.001)),
    "sqlite": ("libsqlite3-dev", sorted(PROGRAMS.glob("sql/*.sql")), False,
               ("statements.sql", 0.001)),
    "cpython": ("libpython3.11-dev", sorted(PROGRAMS.glob("python/*.py")), True,
                ("objects.py", 0.001)),
    "yajl": ("libyajl-dev", sorted(PROGRAMS.glob("json/*.json")), False, ("records.json", 0.003)),
}


def host(build, engine):
    return pathlib.Path(build) / "examples/engines" / f"fief-engine-{engine}"


def is_built(build, engine):
    return os.access(host(build, engine), os.X_OK)


def run(build, engine, program, scale, allocator, *options, seconds=60):
    """(status, stdout, stderr, what was counted or None); a hang has the status of SIGALRM."""
    command = [host(build, engine), "--allocator", allocator, "--color", "never", *options,
               program, str(scale)]
    environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=0:" + os.environ.get("ASAN_OPTIONS", "")
                       .replace("detect_leaks=1", "detect_leaks=0"))
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds,
                              env=environment, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        return -signal.SIGALRM, "", "hangs", None
    counted = [line for line in done.stderr.splitlines() if "fief-engine/1" in line]
    return done.returncode, done.stdout, done.stderr, json.loads(counted[-1]) if counted else None


def misuse_in(stderr):
    """The first report that is not of a leak, or of AddressSanitizer; None: there is none."""
    for line in stderr.splitlines():
        if ("misuse[" in line and "misuse[leak]" not in line) or "ERROR: AddressSanitizer" in line \
                or "runtime error:" in line:
            return line
    return None


class Sweep:
    """One-shot failures of one engine: what each came to."""

    def __init__(self, build, engine, allocator):
        self.build, self.engine, self.allocator = build, engine, allocator
        name, self.scale = ENGINES[engine][3]
        self.program = next(PROGRAMS.parent.rglob(f"programs/*/{name}"))
        status, self.output, stderr, counted = self.once("--count")
        if status != 0 or counted is None:
            raise RuntimeError(f"{engine}: {self.program.name} does not run: {stderr}")
        self.calls, self.left = counted["calls"], counted["blocks_left"]

    def once(self, *options):
        return run(self.build, self.engine, self.program, self.scale, self.allocator, *options, seconds=10)

    def points(self, most):
        """Spread over all calls, the first and the last among them."""
        if self.calls <= most:
            return list(range(1, self.calls + 1))
        return sorted({1 + i * (self.calls - 1) // max(1, most - 1) for i in range(most)})

    def at(self, point):
        """(outcome, blocks left, status, misuse): clean, leak, crash."""
        status, _, stderr, counted = self.once("--count", "--fail-at", str(point))
        misuse = misuse_in(stderr)
        if status < 0 or counted is None or misuse is not None:
            return "crash", None, status, misuse
        more = counted["blocks_left"] - self.left
        return ("leak" if more > 0 else "clean"), max(more, 0), status, None
