"""Parts 4 and 5: whole programs, in Lox and in Lua, on malloc and on Fief."""
import os
import statistics
import tempfile

import measure
from builds import EXAMPLES, find, must_find
from measure import show_noise
from screen import INDENT

LOX_SECONDS, LUA_SECONDS = 9, 8


def in_kib(values):
    return "-" if None in values else f"{round(statistics.median(values)):,}"


def show_pair(screen, pair):
    spread = f"{measure.half_spread(pair.ratios()):.2f}".lstrip("0")
    libc, fief = (statistics.median(times) * 1000 for times in pair.times)
    screen.line(f"{INDENT}{pair.name:<13}{libc:6.0f} ms {fief:6.0f} ms   {pair.ratio():5.2f} "
                f"+-{spread}{len(pair.times[0]):4}  {in_kib(pair.peaks[0]):>8} -> "
                f"{in_kib(pair.peaks[1]):>8}")


def compare(screen, given, programs, seconds):
    """A row for each program, {name: (command with libc, command with fief)}."""
    place = measure.pin()
    screen.line(f"{INDENT}{'program':<13}{'libc':>9} {'fief':>9}   {'ratio':>5}"
                f"{'rounds':>10}  {'libc KiB':>8} -> {'fief KiB':>8}")
    each = 0 if given.quick else seconds / len(programs)
    pairs = []
    for name, commands in programs.items():
        screen.progress(name)
        pairs.append(measure.measure(name, commands, each))
        show_pair(screen, pairs[-1])
    total = measure.geomean([pair.ratio() for pair in pairs])
    screen.line(f"{INDENT}{'geomean':<13}{'':22}{total:5.2f}   (1.00 = libc, less is faster)")
    screen.note(f"medians, libc and fief in turn; CPU time, {place}; peak resident memory")
    show_noise(screen, [f"{pair.name} {pair.noise() * 100:.0f} %" for pair in pairs
                        if pair.noise() > measure.NOISY])


LOX_FUNCTION = """
fun shape{n}(width, height) {{
  var area = width * height;
  if (area > {n}) {{ print "large"; area = area - {n}; }}
  while (area > 1000000) {{ area = area / 2; }}
  return area + (width - height) * {n} / (1 + height);
}}
class Thing{n} {{ init(name) {{ this.name = name; }} title() {{ return "thing " + this.name; }} }}
"""


def generated_source(kib):
    count = kib * 1024 // len(LOX_FUNCTION.format(n=0)) + 1
    return "".join(LOX_FUNCTION.format(n=n) for n in range(count))


def lox_programs(lox, directory, quick):
    source = os.path.join(directory, "generated.lox")
    with open(source, "w", encoding="utf-8") as file:
        file.write(generated_source(8 if quick else 1024))
    starts = "10" if quick else "4000"
    programs = {"start": ["--repeat", starts, "-e", ""], "compile": [source]}
    for name in ("trees", "objects", "closures", "strings", "calls"):
        programs[name] = [str(EXAMPLES / "lox/programs" / (name + ".lox"))]
    return {name: ([lox, "--strategy", "all-heap", *rest], [lox, *rest])
            for name, rest in programs.items()}


def show_lox(screen, given):
    screen.explain("""examples/lox is a whole interpreter: compiler, bytecode VM, collector. It has
        a switch that sends every block to malloc, one by one (--strategy all-heap), so the same
        interpreter runs both ways: start opens and closes 4,000 VMs, compile reads 1 MiB of
        source, the others run the programs in examples/lox/programs.""")
    with tempfile.TemporaryDirectory() as directory:
        programs = lox_programs(must_find(given.release, "lox"), directory, given.quick)
        compare(screen, given, programs, LOX_SECONDS)


LUA_PROGRAMS = ("binary-trees", "closures", "json", "live-tree", "strings", "tables")
LUA_SCALE, LUA_SCALE_QUICK = "0.2", "0.02"


def show_lua(screen, given):
    screen.explain("""Your interpreter need not be written for Fief. Lua asks for memory through
        one function, and fief_lua_alloc is that function: no arenas, no table, Fief's heap alone.
        So this is what you gain by changing one line. See examples/lua.""")
    lua = find(given.release, "fief-lua")
    if lua is None:
        screen.note("skipped: no fief-lua (it needs liblua5.4-dev)")
        return
    scale = LUA_SCALE_QUICK if given.quick else LUA_SCALE
    programs = {}
    for name in LUA_PROGRAMS:
        script = [str(EXAMPLES / "lua/programs" / (name + ".lua")), scale]
        programs[name] = tuple([lua, "--allocator", a, *script] for a in ("libc", "fief"))
    compare(screen, given, programs, LUA_SECONDS)
