#!/usr/bin/env python3
"""sites INCLUDE LIBRARY: are the sites of reports right, whatever compiled the host?

The host (vm.c, object.c, main.c) is compiled by each compiler in each way that the table below
names, and each of its programs makes its mistake. What the reports say of used, died and allocated
is compared with the places that the sources mark. TAP: one line a configuration.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = ["vm.c", "object.c", "main.c"]
COMPILERS = ["gcc", "clang", "clang-19"]
HEADING = re.compile(r"  ((?:holder |target )?[a-z]+(?: back)?) at\b")
# Any other word is what the call did that was noticed.
WORDS = {"died": "died", "allocated": "allocated", "target allocated": "allocated",
         "holder allocated": "holder"}
FRAME = re.compile(r"\s+#(\d+) 0x[0-9a-f]+ in (\S+) (.*)$")
DEFINITION = re.compile(r"^[a-z].*?(\w+)\([^();]*[),]$")

# name, flags, how the program is put together
CONFIGURATIONS = [
    ("O0", ["-O0"], "program"),
    ("O0 near its sources", ["-O0"], "near"),
    ("O1", ["-O1"], "program"),
    ("O2", ["-O2"], "program"),
    ("O3", ["-O3"], "program"),
    ("O2 g1", ["-O2", "-g1"], "program"),
    ("O2 dwarf 4", ["-O2", "-gdwarf-4"], "program"),
    ("O2 no-pie", ["-O2", "-fno-pie", "-no-pie"], "program"),
    ("O2 LTO", ["-O2", "-flto"], "program"),
    ("O0 split", ["-O0", "-gsplit-dwarf"], "program"),
    ("O2 split", ["-O2", "-gsplit-dwarf"], "program"),
    ("O2 separate", ["-O2"], "separate"),
    ("O2 gz", ["-O2", "-gz"], "program"),
    ("Os", ["-Os"], "program"),
    ("O3 LTO g1", ["-O3", "-g1", "-flto"], "program"),
    ("O2 no frame pointer", ["-O2", "-fomit-frame-pointer"], "program"),
    ("O2 frame pointer", ["-O2", "-fno-omit-frame-pointer"], "program"),
    ("O2 shared", ["-O2", "-fPIC"], "shared"),
    ("O2 g0", ["-O2", "-g0"], "bare"),
    ("O2 stripped", ["-O2"], "stripped"),
    ("O2 plugin", ["-O2", "-fPIC"], "plugin"),
    ("O0 plugin", ["-O0", "-fPIC"], "plugin"),
]


def expected_sites():
    """{(program, site, frame): (function, file, line)}"""
    sites = {}
    for name in ["host.h"] + SOURCES:
        function = None
        with open(os.path.join(HERE, name), encoding="ascii") as file:
            for number, line in enumerate(file, 1):
                definition = DEFINITION.match(line)
                function = definition.group(1) if definition else function
                marked = re.search(r"/\* site: (.*) \*/", line)
                for mark in marked.group(1).split() if marked else []:
                    program, site, *frame = mark.split(".")
                    place = (function, name, number)
                    sites[program, site, int(frame[0]) if frame else 0] = place
    return sites


def run(command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options)


class Host:
    """One build of the host, in a directory of its own."""

    def __init__(self, directory, compiler, flags, form, include, library):
        self.directory, self.form = directory, form
        self.compile = [compiler, "-std=gnu11", "-g", *flags, "-I" + include]
        self.link = [library, "-Wl,-rpath," + os.path.dirname(library), "-ldl"]
        if "-flto" in flags and compiler != "gcc":
            self.link.append("-fuse-ld=lld")
        self.arguments = []
        objects = [self.object_of(source) for source in SOURCES]
        if form in ("shared", "plugin"):
            self.join(["-shared", *objects[:2]], "libhost.so")
            self.join(["-shared", *objects[:2]], "kept-libhost.so")
        if form == "shared":
            self.join([objects[2], "-Wl,--no-as-needed,-rpath," + directory, "./libhost.so"],
                      "host")
        elif form == "plugin":
            self.join(["-shared", objects[1], objects[0]], "kept-libother.so")
            self.join([objects[2]], "host")
            self.arguments = ["./libhost.so"]
        else:
            self.join(objects, "host")
        if form == "separate":
            self.separate("host")
        elif form == "stripped":
            run(["strip", "host"], cwd=directory)

    def object_of(self, source):
        name = source.replace(".c", ".o")
        run([*self.compile, "-c", os.path.join(HERE, source), "-o", name], cwd=self.directory)
        return name

    def join(self, objects, name):
        run([*self.compile, *objects, *self.link, "-o", name], cwd=self.directory)

    def separate(self, name):
        for command in (["objcopy", "--only-keep-debug", name, name + ".debug"],
                        ["strip", name],
                        ["objcopy", "--add-gnu-debuglink=" + name + ".debug", name]):
            run(command, cwd=self.directory)

    def swap_back(self):
        """What the program "swapped" did to the files is undone."""
        if self.form == "plugin":
            for name in ("libhost.so", "libother.so"):
                shutil.copy(os.path.join(self.directory, "kept-" + name),
                            os.path.join(self.directory, name))

    def can_tell(self, program, frame):
        if frame > 0 and self.form in ("bare", "stripped"):
            return False
        if program in ("unloaded", "swapped"):
            return self.form == "plugin"
        frame_pointers = {"-O0", "-fno-omit-frame-pointer"}
        return program != "deep" or not frame_pointers.isdisjoint(self.compile)

    def report_of(self, program):
        """Run near its sources, it has their paths from there."""
        folder = os.path.dirname(HERE) if self.form == "near" else self.directory
        done = subprocess.run([os.path.join(self.directory, "host"), program, *self.arguments],
                              cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        return done.stderr


def sites_in(report):
    """{(site, frame): (function, place)}; a leak's first row is its allocation."""
    sites, site = {}, None
    for line in report.splitlines():
        heading = HEADING.match(line)
        frame = FRAME.match(line)
        leak = re.match(r"\s+1\s+64  list\s+pool\s+(\S+) (\S+)", line)
        if leak:
            sites["allocated", 0] = leak.groups()
        elif heading:
            site = WORDS.get(heading[1], "used")
        elif frame and site:
            sites[site, int(frame.group(1))] = (frame.group(2), frame.group(3).strip())
    return sites


def expected_after_a_swap(sites):
    """The same places: another build of the library lies where they were."""
    for site in ("died", "allocated"):
        sites["swapped", site, 0] = sites["unloaded", site, 0]


def is_right(host, program, expected, found, functions):
    """Less may be known where there is less to know it from, and nothing may be said that is wrong:
    a symbol is that of the function, or of the one that it was inlined into."""
    function, file, line = expected
    if program == "swapped" and found and found[1].startswith("(libhost.so+"):
        return True  # the file that knew more is gone
    if host.form in ("bare", "stripped"):
        symbol = found[0].split(".")[0] if found else "??"
        return found is not None and symbol in functions and found[1].startswith("(host+")
    if host.form == "near":
        return found == (function, f"{os.path.basename(HERE)}/{file}:{line}")
    return found is not None and found[0] == function and found[1].endswith(f"/{file}:{line}")


def judge(host, expected):
    """How many sites are right, and what is wrong with the others."""
    wanted = {key: place for key, place in expected.items() if host.can_tell(key[0], key[2])}
    right, wrong = 0, []
    for program in sorted({key[0] for key in wanted}):
        host.swap_back()
        found = sites_in(host.report_of(program))
        sites = [(key[1:], place) for key, place in wanted.items() if key[0] == program]
        functions = {place[0] for _, place in sites} | {"??"}
        for (site, frame), place in sites:
            if is_right(host, program, place, found.get((site, frame)), functions):
                right += 1
            else:
                wrong.append(f"{program}.{site}.{frame}: {place}, not {found.get((site, frame))}")
    return right, len(wanted), wrong


def lacks(compiler, configuration):
    """The tool that this machine would need for it; "" where it has all."""
    tools = [compiler] + (["ld.lld"] if "-flto" in configuration[1] and compiler != "gcc" else [])
    return next((tool for tool in tools if not shutil.which(tool)), "")


def try_one(task):
    compiler, (name, flags, form), include, library, expected = task
    with tempfile.TemporaryDirectory(prefix="fief-sites-") as directory:
        try:
            host = Host(directory, compiler, flags, form, include, library)
        except subprocess.CalledProcessError as error:
            return f"{compiler} {name}", 0, 1, [error.stderr]
        return (f"{compiler} {name}", *judge(host, expected))


def main():
    include, library = sys.argv[1:3]
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    expected = expected_sites()
    expected_after_a_swap(expected)
    pairs = [(compiler, configuration) for compiler in COMPILERS
             for configuration in CONFIGURATIONS if only in f"{compiler} {configuration[0]}"]
    tasks = [(*pair, include, library, expected) for pair in pairs if lacks(*pair) == ""]
    missing = [(f"{compiler} {configuration[0]}", lacks(compiler, configuration))
               for compiler, configuration in pairs if lacks(compiler, configuration) != ""]
    print(f"1..{len(tasks) + len(missing)}")
    failed, number = False, 0
    with ThreadPoolExecutor(2) as pool:
        for number, (name, right, total, wrong) in enumerate(pool.map(try_one, tasks), 1):
            failed = failed or right < total
            print(f"{'ok' if right == total else 'not ok'} {number} - {name} # {right} of {total}")
            for line in wrong:
                print("#   " + line.replace("\n", "\n#   "))
            sys.stdout.flush()
    for number, (name, tool) in enumerate(missing, number + 1):
        print(f"ok {number} - {name} # SKIP {tool} is not installed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
