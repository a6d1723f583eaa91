#!/usr/bin/env python3
"""Compiles, runs and checks what the documents show.

usage: snippets.py [--write] [--reports] BUILD LIBRARY COMPILER [FLAG...]

A block of a document is known by the words behind its fence:

    ```c                 a whole program: it compiles, runs and ends in status 0
    ```c NAME.h          what the document's parts of programs have in common
    ```c NAME.c          a part of a program: the body of a function that is given `rt`, a runtime
                         with the kinds table of the header. Its runtime closes without a leak
    ```text              behind a part: what that prints
    ```                  behind a part, beginning with "==": its report
    ```diff A B          from A to B, files of examples/migration: with - and + as diff has it
    ```sh                commands

--reports: what parts print is compared, too (the debug build with libdw). --write: it is written
into the documents. Elsewhere parts that are reported are compiled and not run.

Code between @code and @endcode in a public header is a part as well. Each `./dev` command and
option that is named anywhere must exist, so must each program named below build/release, and the
file (and heading) behind each link. BUILD is the build directory, for the names of its programs."""
import argparse
import dataclasses
import pathlib
import re
import subprocess
import sys
import tempfile

import misuse_doc

ROOT = misuse_doc.ROOT
PACKAGES = {"lua.h": "lua5.4", "luajit.h": "luajit", "duktape.h": "duktape", "mujs.h": "mujs",
            "sqlite3.h": "sqlite3", "Python.h": "python-3.11-embed",
            "yajl/yajl_parse.h": "yajl"}  # beside Fief: an example is left out where its package is missing
PLAIN = {"mruby.h": ["-lmruby", "-lm"]}  # packages that pkg-config does not know
TIME = re.compile(r"\bin \d+ us$", re.M)  # of the scans, in the statistics
FENCE = re.compile(r"^```(\S*) ?(.*)$")
DRIVER = """#include "%s"

%s
int main(int count, char **names)
{
    static const struct {
        const char *name;
        void (*body)(fief_runtime *);
    } parts[] = {%s};
    for (unsigned i = 0; count == 2 && i < sizeof parts / sizeof parts[0]; i++) {
        if (strcmp(parts[i].name, names[1]) == 0) {
            fief_runtime *rt = fief_open(
                &(fief_config){.name = "guide", .kinds = kinds, .kind_count = KINDS});
            parts[i].body(rt);
            return fief_close(rt) == 0 ? 0 : 1;
        }
    }
    return 2;
}
"""
HEADER = """#include <fief/%s>
#include <lua.h>

int main(void)
{
%s
return leaked == 0 ? 0 : 1;
}
"""


@dataclasses.dataclass
class Block:
    file: pathlib.Path
    language: str
    names: list
    text: str
    first: int  # the line behind the fence, from 0
    last: int   # the closing fence

    def place(self):
        return f"{self.file.relative_to(ROOT)}:{self.first + 1}"


def blocks_of(file):
    lines = file.read_text(encoding="utf-8").splitlines()
    found, start = [], None
    for i, line in enumerate(lines):
        fence = FENCE.match(line)
        if fence is None:
            continue
        if start is None:
            start, language, names = i + 1, fence[1], fence[2].split()
        else:
            text = "".join(line + "\n" for line in lines[start:i])
            found.append(Block(file, language, names, text, start, i))
            start = None
    return found


def documents():
    done = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    names = done.stdout.split() or [str(path.relative_to(ROOT)) for path in ROOT.glob("**/*.md")]
    return [ROOT / name for name in names if not name.startswith("build/")]


class Check:
    def __init__(self, options):
        self.options = options
        self.complaints, self.checked, self.changes = [], 0, []

    def must(self, condition, place, what):
        self.checked += 1
        if not condition:
            self.complaints.append(f"{place}: {what}")
        return condition

    # ---- C ----

    def compile(self, place, folder, source):
        """The program, or None. Names are the folder's own: a report shows them as they are."""
        library = pathlib.Path(self.options.library).resolve()
        command = [*self.options.compiler, "-std=c11", "-g", "-Wall", "-Wextra", "-Werror",
                   "-Wno-unused-function", f"-I{ROOT}/include", source, "-o", "program"]
        text = (folder / source).read_text(encoding="utf-8")
        packages = [PACKAGES[name] for name in PACKAGES if f"<{name}>" in text]
        for name in [name for name in PLAIN if f"<{name}>" in text]:
            if not pathlib.Path("/usr/include", name).exists():
                print(f"{place}: left out, {name} is missing")
                return None
            command += PLAIN[name]
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", *packages], check=False,
                               capture_output=True, text=True) if packages else None
        if flags is not None and flags.returncode != 0:
            print(f"{place}: left out, {' '.join(packages)} is missing")
            return None
        command += flags.stdout.split() if flags is not None else []
        command += [library, f"-Wl,-rpath,{library.parent}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if not self.must(done.returncode == 0, place, f"does not compile\n{done.stderr}"):
            return None
        return folder / "program"

    def whole_program(self, place, text):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "example.c").write_text(text, encoding="utf-8")
            program = self.compile(place, folder, "example.c")
            if program is not None:
                done = subprocess.run([program], capture_output=True, text=True, check=False)
                self.must(done.returncode == 0 and done.stderr == "", place,
                          f"ends in status {done.returncode}: {done.stderr}")

    def parts(self, blocks):
        """The parts of a document's programs, in one program; each is run by itself."""
        header = [block for block in blocks if block.names and block.names[0].endswith(".h")]
        parts = [(block, after) for block, after in zip(blocks, [*blocks[1:], None])
                 if block.language == "c" and block.names and block.names[0].endswith(".c")]
        if not parts or not self.must(len(header) == 1, parts[0][0].place(), "wants one header"):
            return
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            program = self.program_of(folder, header[0], [block for block, _ in parts])
            for block, after in parts if program is not None else []:
                self.part(program, block, after)

    def program_of(self, folder, header, parts):
        bodies, names = [], []
        (folder / header.names[0]).write_text(header.text, encoding="utf-8")
        for block in parts:
            (folder / block.names[0]).write_text(block.text, encoding="utf-8")
            name = block.names[0][:-2]
            bodies.append(f"static void {name}(fief_runtime *rt)\n{{\n    (void)rt;\n"
                          f'#include "{block.names[0]}"\n}}\n')
            names.append(f'{{"{name}", {name}}}')
        driver = DRIVER % (header.names[0], "\n".join(bodies), ", ".join(names))
        (folder / "driver.c").write_text(driver, encoding="utf-8")
        return self.compile(header.place(), folder, "driver.c")

    def part(self, program, block, after):
        is_report = after is not None and after.language == "" and after.text.startswith("==")
        says = after if is_report or (after is not None and after.language == "text") else None
        if is_report and not self.options.reports:
            return
        done = subprocess.run([program, block.names[0][:-2]], cwd=program.parent, check=False,
                              capture_output=True, text=True)
        if not is_report:
            self.must(done.returncode == 0 and done.stderr == "", block.place(),
                      f"ends in status {done.returncode}: {done.stderr}")
        if says is not None and self.options.reports:
            got = TIME.sub("in 0 us", done.stdout) + report_of(done.stderr, block.names[0])
            if got != says.text and self.options.write:
                self.changes.append((says, got))
            else:
                self.must(got == says.text, says.place(), f"is not what it prints:\n{got}")

    # ---- the rest ----

    def difference(self, block):
        for hunk in re.split(r"^@@.*\n", block.text, flags=re.M):
            lines = hunk.splitlines(keepends=True)
            for name, sign in zip(block.names, "-+"):
                side = "".join(line[1:] or "\n" for line in lines if line[0] in (" ", sign, "\n"))
                file = ROOT / "examples/migration" / name
                self.must(file.exists() and side in file.read_text(encoding="utf-8"),
                          block.place(), f"{name} has no such lines:\n{side}")

    def commands(self, file, text, known, sources):
        for said in re.finditer(r"\./dev ((?:[^\s`|)#;]+ ?)*)", text):
            place = f"{file.relative_to(ROOT)}:{text[:said.start()].count(chr(10)) + 1}"
            command, *words = said[1].split() or ["help"]
            is_name = re.fullmatch(r"[a-z]+[,.:]?", command) is not None
            self.must(not is_name or command.strip(",.:") in known, place,
                      f"there is no ./dev {command}")
            for word in words:
                option = re.match(r"\[?(--[a-z-]+)", word)
                if option is not None:
                    self.must(option[1] in sources, place, f"nobody knows {option[1]}")

    def programs(self, file, text, ninja):
        for said in re.finditer(r"build/release/(\w[\w/.-]*\w)", text):
            is_built = re.search(rf"^build {said[1]}[:.]", ninja, re.M) is not None
            is_built = is_built or "afl" in said[1]  # where AFL++ is
            is_meant = f"build {said[1].split('/')[0]}/" in ninja  # not every build has all
            self.must(is_built or not is_meant, file.relative_to(ROOT), f"there is no program {said[0]}")

    def links(self, file, text):
        for link in re.finditer(r"\]\(([^)#\s]*)(#[^)\s]*)?\)", re.sub(r"`[^`]*`", "", text)):
            if link[1].startswith("http"):
                continue
            target = (file.parent / link[1]).resolve() if link[1] else file
            place = file.relative_to(ROOT)
            if self.must(target.exists(), place, f"no file {link[1]}") and link[2]:
                self.must(link[2][1:] in headings(target), place, f"no heading {link[0]}")


def headings(file):
    text = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return [re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles]


def report_of(text, name):
    """A report without what differs from run to run, and without the frames of the driver."""
    lines = [line for line in text.splitlines(keepends=True)
             if not re.match(r" +#\d+ 0x", line) or re.search(rf" {name}:\d+$", line) is not None]
    return "".join(misuse_doc.without_numbers(line) for line in lines)


def write_over(block, text):
    lines = block.file.read_text(encoding="utf-8").splitlines(keepends=True)
    lines[block.first:block.last] = [text]
    block.file.write_text("".join(lines), encoding="utf-8")
    print(f"{block.place()}: written")


def examples_of(header):
    for code in re.findall(r"@code\S*\n(.*?)@endcode", header.read_text(encoding="utf-8"), re.S):
        yield re.sub(r"^ \* ?", "", code, flags=re.M)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n")[2][7:])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--reports", action="store_true")
    parser.add_argument("build")
    parser.add_argument("library")
    parser.add_argument("compiler", nargs=argparse.REMAINDER)
    check = Check(parser.parse_args())
    dev = (ROOT / "dev").read_text(encoding="utf-8")
    known = re.search(r"^readonly commands=\(([^)]*)\)", dev, re.M)[1].split()
    tools = [path for folder in ("tools", "bench", "tests", "examples", "fuzz")
             for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".c")]
    sources = dev + "".join(path.read_text(encoding="utf-8") for path in tools)
    ninja = (pathlib.Path(check.options.build) / "build.ninja").read_text(encoding="utf-8")
    for file in documents():
        text, blocks = file.read_text(encoding="utf-8"), blocks_of(file)
        check.commands(file, text, known, sources)
        check.programs(file, text, ninja)
        check.links(file, text)
        check.parts(blocks)
        for block in blocks:
            if block.language == "c" and not block.names:
                check.whole_program(block.place(), block.text)
            elif block.language == "diff" and block.names:
                check.difference(block)
    for header in sorted((ROOT / "include").rglob("*.h")):
        for code in examples_of(header):
            check.whole_program(header.relative_to(ROOT), HEADER % (header.relative_to(ROOT / "include/fief"), code))
    # The last first: what is written into a document moves what stands below.
    for block, got in sorted(check.changes, key=lambda change: -change[0].first):
        write_over(block, got)
    print("\n".join(check.complaints) or f"{check.checked} things looked at")
    return 1 if check.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
