#!/usr/bin/env python3
"""inline_paths.py INCLUDE COMPILER...: has a host's fast path gained an instruction?

Each verb below is compiled as a host has it, and the instructions of its function are counted, with
those that lead to the out-of-line half. A count above the recorded one fails: what guards, names and
reports need must not be paid for by a release host. One below it fails too, so that the record is
brought down with it. The counts are gcc 12's on x86-64; elsewhere meson does not run this."""
import pathlib
import re
import subprocess
import sys
import tempfile

# verb: body of a function that has rt, arena, pool, heap, p, size; instructions
VERBS = {
    "arena_alloc": ("return fief_arena_alloc(arena, 24);", 26),
    "arena_alloc_aligned": ("return fief_arena_alloc_aligned(arena, size, 8);", 21),
    "temp": ("return fief_temp(rt, double, 3);", 17),
    "pool_take": ("return fief_pool_take(pool);", 11),
    "pool_give": ("fief_pool_give(pool, p); return p;", 17),
    "heap_alloc": ("return fief_heap_alloc(heap, 40);", 22),
    "heap_free": ("fief_heap_free(heap, p, 40); return p;", 24),
    "new": ("return fief_new(rt, 1, FIEF_DYNAMIC, 48);", 66),
    "free": ("fief_free(rt, 1, p, 48); return p;", 46),
    "unit_begin": ("fief_unit u = fief_unit_begin(rt); return u.number != 0 ? p : 0;", 13),
    "store": ("fief_store(rt, p, p, p); return p;", 17),
}
PARAMETERS = ("fief_runtime *rt, fief_arena *arena, fief_pool *pool, fief_heap *heap, void *p, "
              "size_t size")


def counts(include, compiler):
    with tempfile.TemporaryDirectory(prefix="fief-inline-") as folder:
        source = pathlib.Path(folder) / "host.c"
        source.write_text("#include <fief/fief.h>\n" + "".join(
            f"void *host_{verb}({PARAMETERS});\nvoid *host_{verb}({PARAMETERS})\n{{ {body} }}\n"
            for verb, (body, _) in VERBS.items()), encoding="utf-8")
        made = source.with_suffix(".o")
        subprocess.run([*compiler, "-std=gnu11", "-O2", "-fno-reorder-blocks-and-partition", "-I",
                        include, "-c", source, "-o", made], check=True)
        text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", made], check=True,
                              capture_output=True, text=True).stdout
    found = {}
    for part in re.split(r"\n[0-9a-f]+ <host_", text)[1:]:
        name, body = part.split(">:", 1)
        lines = re.findall(r"^ +[0-9a-f]+:\t(.*)$", body, re.M)
        found[name] = sum(not re.match(r"(cs |data16 )*nop|xchg +%ax,%ax", line) for line in lines)
    return found


def main(include, *compiler):
    found = counts(include, compiler)
    wrong = 0
    for verb, (_, recorded) in VERBS.items():
        if found.get(verb) != recorded:
            wrong += 1
            print(f"fief_{verb}: {found.get(verb)} instructions, recorded are {recorded}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
