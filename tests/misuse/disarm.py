#!/usr/bin/env python3
"""Takes each check out in turn, by a patch of disarm/, and looks which rows go red.

usage: disarm.py [--list] SOURCE TEST-MISUSE [NAME...]

A patch begins with a sentence that says what is checked, and a line "red: MISUSE/VARIANT ...", where
a variant may be *. Those rows must go red, and none of a kind of mistake that the line does not
name. --list prints what goes red instead. A patch that does not apply is a failure.

The library is compiled without optimisation in a scratch directory; of a patched one only the files
that differ, and those that include a header that does."""
import fnmatch
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import matrix
import patches

FLAGS = ["-std=gnu11", "-O0", "-g", "-fPIC", "-fvisibility=hidden", "-D_GNU_SOURCE"]
SONAME = "libfief.so.0"


class Library:
    def __init__(self, source, scratch):
        self.source, self.scratch = source, scratch
        self.code = scratch / "src"
        shutil.copytree(source / "src", self.code)
        libdw = subprocess.run(["pkg-config", "--libs", "libdw"], capture_output=True, text=True,
                               check=False)
        self.tells_sites = libdw.returncode == 0
        self.libraries = libdw.stdout.split()
        sites = "libdw.c" if self.tells_sites else "none.c"
        folders = [path for name in ("base", "core", "manager", "guard/poison", "os")
                   for path in (self.code / name).glob("*.c") if path.name != "fake.c"]
        chosen = [self.code / "sites" / name for name in ("plain.c", sites)]
        self.files = sorted([*folders, *chosen])
        self.objects = {file: scratch / f"{i}.o" for i, file in enumerate(self.files)}
        self.patched = {}

    def compiled(self, files):
        """Compiles them as they are."""
        compiler = [os.environ.get("CC", "gcc"), *FLAGS, "-I", self.source / "include", "-I",
                    self.code, "-I", self.code / "guard/poison"]
        for file in files:
            subprocess.run([*compiler, "-c", file, "-o", self.object_of(file)], check=True)

    def compiled_patched(self, files):
        """Compiles them beside the objects of what is not patched, which stay for the next patch."""
        self.patched = {file: self.objects[file].with_suffix(".patched.o") for file in files}
        self.compiled(self.patched)

    def object_of(self, file):
        return self.patched.get(file, self.objects[file])

    def linked(self):
        subprocess.run([os.environ.get("CC", "gcc"), "-shared", f"-Wl,-soname,{SONAME}", "-o",
                        self.scratch / SONAME, *map(self.object_of, self.files), *self.libraries],
                       check=True)

    def including(self, header):
        """The files that include the header, as the folders have it: by its own name."""
        name = header.name
        return [file for file in self.files if f"{name}\"" in file.read_text(encoding="utf-8")]

    def must_compile(self, changed):
        files = [file for file in changed if file in self.objects]
        for header in changed:
            files += self.including(header) if header.suffix == ".h" else []
        return files


def red_line(patch):
    for line in patch.read_text(encoding="utf-8").splitlines():
        if line.startswith("red:"):
            return line.split()[1:]
    return []


def red_rows(library, program, table):
    os.environ["LD_LIBRARY_PATH"] = str(library.scratch)
    return list(matrix.red_rows("debug", program, table, library.tells_sites))


def compare(table, wanted, red):
    """What is wrong with the rows that went red; "" where nothing is."""
    names = [f"{row['misuse']}/{row['variant']}" for row in table if row["debug"] != ""]
    must = {name for name in names if any(fnmatch.fnmatch(name, glob) for glob in wanted)}
    kinds = {glob.split("/")[0] for glob in wanted}
    stayed = sorted(must - set(red))
    others = sorted(name for name in red if name.split("/")[0] not in kinds)
    complaint = ["names no row"] if not must else []
    complaint += [f"still noticed: {' '.join(stayed)}"] if stayed else []
    complaint += [f"unrelated rows went red: {' '.join(others)}"] if others else []
    return "; ".join(complaint)


def disarm(library, program, table, patch):
    changed = patches.applied(patch, library.scratch)
    if changed is None:
        shutil.rmtree(library.code)
        shutil.copytree(library.source / "src", library.code)
        return [], "the patch does not apply"
    library.compiled_patched(library.must_compile(changed))
    library.linked()
    red = red_rows(library, program, table)
    patches.restored(changed, library.scratch, library.source)
    return red, compare(table, red_line(patch), red)


def main(arguments):
    lists = "--list" in arguments
    source, program, *names = [word for word in arguments if word != "--list"]
    source, program = pathlib.Path(source).resolve(), str(pathlib.Path(program).resolve())
    chosen = sorted((source / "tests/misuse/disarm").glob("*.patch"))
    chosen = [patch for patch in chosen if not names or patch.stem in names]
    table = matrix.table_of(program, "--rows")
    failed = 0
    print("TAP version 13")
    with tempfile.TemporaryDirectory(prefix="fief-disarm-") as scratch:
        library = Library(source, pathlib.Path(scratch))
        library.compiled(library.files)
        library.linked()
        red = red_rows(library, program, table)
        print(f"{'not ok' if red else 'ok'} 1 - armed, every row is noticed {' '.join(red)}")
        for number, patch in enumerate(chosen, start=2):
            red, complaint = disarm(library, program, table, patch)
            failed += complaint != ""
            said = f" ({complaint})" if complaint else ""
            print(f"{'not ok' if complaint else 'ok'} {number} - {patch.stem}: {len(red)} rows{said}",
                  flush=True)
            if lists:
                print(f"  {' '.join(red)}")
    print(f"1..{len(chosen) + 1}")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
