#!/usr/bin/env python3
"""The man pages: are they well-formed, complete and true? TAP.

usage: pages.py [--fief PROGRAM] BUILD LIBRARY COMPILER [FLAG...]

True: synopses agree with the headers, examples are compiled, run, and print what stands behind
them; what the library or the program says of itself (classes, figures, commands, options) stands in
the page."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import man  # noqa: E402

SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "OWNERSHIP", "RETURN", "ERRORS", "MODES", "EXAMPLE",
            "SEE ALSO"]
PAGES = sorted((ROOT / "docs/man").glob("*.scd"))
HEADERS = sorted((ROOT / "include/fief").glob("**/*.h"))
WIDTH = 79
# What scdoc writes by itself, whatever the page.
SCDOCS_OWN = re.compile("skipping paragraph macro|input text line longer|lower case character")
# A name with a comment of its own before it is public; the others are parts of what is inlined.
PUBLIC = re.compile(r"/\*\*(?:(?!\*/).)*\*/\s*(?:FIEF_API|FIEF_INLINE|static inline|#define)\s"
                    r"[^;{]*?\b(fief_[a-z0-9_]+)[(\[]", re.S)
FACTS = """#include <fief/fief.h>
#include <stdio.h>

int main(void)
{
    static char json[1 << 16];
    for (int i = 0; i < FIEF_MISUSE_CLASSES; i++) {
        printf("%s\\t%s\\n", fief_misuse_name((fief_misuse_class)i),
               fief_misuse_explain((fief_misuse_class)i));
    }
    fief_runtime *rt = fief_open(NULL);
    fief_stats_json(rt, json, sizeof json);
    puts(json);
    return fief_close(rt) == 0 ? 0 : 1;
}
"""


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def must(condition, what):
    if not condition:
        raise Failed(what)


def page(name):
    return ROOT / "docs/man" / (name + ".scd")


def words_of(text):
    """As one reads it: without marks, on one line."""
    return " ".join(man.unescaped(re.sub(r"(?<![\\\w])[*_]|(?<!\\)[*_](?!\w)", "", text)).split())


class Pages:
    def __init__(self, given, folder):
        self.given, self.folder = given, folder
        self.public = {name for header in HEADERS for name in PUBLIC.findall(header.read_text())}
        self.macros = {name for header in HEADERS
                       for name in re.findall(r"^#define (fief_\w+)\(", header.read_text(), re.M)}
        library = pathlib.Path(given.library).resolve()
        self.link = [str(library), f"-Wl,-rpath,{library.parent}", "-lpthread"]

    def run(self, command, folder=None, **more):
        done = subprocess.run([str(word) for word in command], cwd=folder or self.folder, text=True,
                              capture_output=True, check=False, **more)
        return done.returncode, done.stdout, done.stderr

    def compile(self, name, text, only_check=False):
        source = self.folder / (name + ".c")
        source.write_text(text)
        words = ["-fsyntax-only"] if only_check else ["-o", self.folder / name, *self.link]
        # Each line of an example may be looked at; the synopses use no function of an adapter.
        status, _, said = self.run([*self.given.compiler, "-std=c11", "-Wall", "-Wextra", "-Werror",
                                    "-Wno-unused-function", "-Wno-unused-variable",
                                    "-I", ROOT / "include", source, *words])
        must(status == 0, f"{name}: {said}")
        return self.folder / name

    # ---- form ----

    def each_page_has_its_sections_in_order(self):
        for file in PAGES:
            name, section = file.name.split(".")[:2]
            lines = file.read_text().splitlines()
            must(lines[0] == f"{name}({section})", f"{file.name}: its first line is {lines[0]}")
            found = [heading for heading in man.sections(file) if heading in SECTIONS]
            must(found == SECTIONS, f"{file.name} has {found}")
            first = man.sections(file)["NAME"].strip()
            must(re.fullmatch(f"{name} - .+", first), f"{file.name}: NAME is {first}")

    def each_page_that_is_named_exists(self):
        ours = {file.name.removesuffix(".scd") for file in PAGES}
        ours |= {f"{name}.3" for file in PAGES if ".3." in file.name
                 for name in man.functions(file)}
        for file in PAGES:
            text = re.sub(r"^```\n.*?^```$", "", file.read_text(), flags=re.M | re.S)
            named = re.findall(r"\*(fief\w*)\*\((\d)\)", text)
            missing = [f"{name}.{section}" for name, section in named
                       if f"{name}.{section}" not in ours]
            must(not missing, f"{file.name} names {missing}")

    def made(self):
        """The pages, by scdoc."""
        if shutil.which("scdoc") is None:
            raise Skipped("scdoc is not installed")
        folder = self.folder / "man"
        folder.mkdir(exist_ok=True)
        for file in PAGES:
            status, out, said = self.run([sys.executable, ROOT / "tools/man.py", "page", file])
            must(status == 0, f"{file.name}: {said}")
            (folder / file.name.removesuffix(".scd")).write_text(out)
        return sorted(folder.iterdir())

    def scdoc_makes_the_same_pages_twice(self):
        first = [file.read_text() for file in self.made()]
        must(first == [file.read_text() for file in self.made()], "they differ")

    def mandoc_has_no_complaint(self):
        files = self.made()
        if shutil.which("mandoc") is None:
            raise Skipped("mandoc is not installed")
        _, out, _ = self.run(["mandoc", "-T", "lint", *files])
        bad = [line for line in out.splitlines() if not SCDOCS_OWN.search(line)]
        must(not bad, "\n".join(bad))

    def man_shows_them_within_79_columns(self):
        files = self.made()
        if shutil.which("man") is None:
            raise Skipped("man is not installed")
        for file in files:
            environment = dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH=str(WIDTH))
            status, out, said = self.run(["man", "--warnings", "-l", file], env=environment)
            long = [line for line in out.splitlines() if len(line) > WIDTH]
            if "minimized" in said or (status == 0 and not out.strip()):
                raise Skipped("this system's man shows nothing")
            must(status == 0 and not said and not long, f"{file.name}: {said}{long}")

    # ---- functions ----

    def every_public_function_has_one_page(self):
        must(len(self.public) > 100, f"only {len(self.public)} found")
        told = [(name, file.name) for file in PAGES if ".3." in file.name
                for name in man.functions(file)]
        names = [name for name, _ in told]
        must(not (missing := self.public - set(names)), f"no page: {sorted(missing)}")
        must(not (more := set(names) - self.public), f"not public: {sorted(more)}")
        must(len(names) == len(set(names)), f"twice: {[n for n in names if names.count(n) > 1]}")

    def every_exported_name_is_public_or_slow(self):
        symbols = (ROOT / "packaging/debian/libfief0.symbols").read_text()
        names = re.findall(r"^ (fief_\w+)@", symbols, re.M)
        bad = [name for name in names if name not in self.public and
               not re.search(r"_slow$|_refill", name)]
        must(names and not bad, f"neither: {bad}")

    def every_synopsis_agrees_with_the_headers(self):
        for file in PAGES:
            if ".3." not in file.name:
                continue
            text = "\n".join(man.blocks(man.sections(file)["SYNOPSIS"]))
            declared = set(man.functions(file))
            for name in declared & self.macros:
                text = re.sub(rf"^[^\n#;]*\b{name}\([^;]*;\n", "", text, flags=re.M)
            self.compile("synopsis", "#include <fief/fief.h>\n" + text, only_check=True)

    def every_function_is_told_of(self):
        for file in PAGES:
            if ".3." not in file.name or file.name == "fief_adapt.3.scd":
                continue
            text = man.unescaped(man.sections(file)["DESCRIPTION"])
            missing = [name for name in man.functions(file) if not re.search(rf"\b{name}\b", text)]
            must(not missing, f"{file.name} only declares {missing}")

    # ---- examples ----

    def every_example_does_what_the_page_says(self):
        for file in PAGES:
            shown = man.blocks(man.sections(file)["EXAMPLE"])
            must(shown, f"{file.name} has no example")
            if file.name.endswith(".1.scd"):
                continue
            must(len(shown) == 2, f"{file.name}: an example, and what it prints")
            program = self.compile(file.name.split(".")[0], shown[0])
            status, out, said = self.run([program])
            must(status == 0, f"{file.name}: status {status}\n{out}{said}")
            must(out == shown[1], f"{file.name} prints\n{out}and says\n{shown[1]}")

    def the_programs_example_runs(self):
        if self.given.fief is None:
            raise Skipped("the program fief is not built")
        folder = self.folder / "shell"
        folder.mkdir()
        path = f"{pathlib.Path(self.given.fief).resolve().parent}:{os.environ['PATH']}"
        script = man.blocks(man.sections(page("fief.1"))["EXAMPLE"])[0]
        status, out, said = self.run(["sh", "-e", "-c", script], folder,
                                     env=dict(os.environ, PATH=path))
        must(status == 0, out + said)

    # ---- what they say of themselves ----

    def facts(self):
        """({class: sentence}, the statistics' JSON)."""
        status, out, said = self.run([self.compile("facts", FACTS)])
        must(status == 0, said)
        *classes, json = out.splitlines()
        return dict(line.split("\t") for line in classes), json

    def misuse_7_has_each_class_with_its_sentence(self):
        classes, _ = self.facts()
        text = words_of(man.sections(page("fief_misuse.7"))["DESCRIPTION"])
        missing = [name for name, sentence in classes.items()
                   if f" {name} {' '.join(sentence.split())}" not in text]
        must(len(classes) > 20 and not missing, f"not as the library has it: {missing}")

    def stats_3_has_each_figure(self):
        _, json = self.facts()
        text = man.sections(page("fief_stats.3"))["DESCRIPTION"]
        json = re.sub(r'"(strategies|kinds)":\{"[^"]*":(\{[^}]*\}).*?\}\}', r'"\1":\2', json)
        names = dict.fromkeys(re.findall(r'"(\w+)":', json))
        missing = [name for name in names if f"*{name}*" not in text]
        must("blocks" in names and "scans" in names and not missing, f"not told of: {missing}")

    def trace_5_has_each_event(self):
        encoder = (ROOT / "src/base/trace.h").read_text()
        tags = re.search(r"enum trace_tag \{(.*?)TRACE_TAGS", encoder, re.S)
        names = re.findall(r"TAG_(\w+)", tags[1])[1:]  # NOTHING has no row
        rows = re.findall(r"^\|\[ (\d+)\n:\[ ([a-z ]+)$", page("fief_trace.5").read_text(), re.M)
        expected = [(str(number), name.lower().replace("_", " "))
                    for number, name in enumerate(names, 1)]
        must(rows == expected, f"the page has {rows}, the encoder {expected}")

    def fief_1_has_each_command_and_option(self):
        if self.given.fief is None:
            raise Skipped("the program fief is not built")
        text = page("fief.1").read_text()
        parts = {part.split()[1]: man.unescaped(part)
                 for part in re.split(r"^## ", text.split("# OWNERSHIP")[0], flags=re.M)[1:]}
        _, usage, _ = self.run([self.given.fief, "--help"])
        commands = re.findall(r"^  (\w+)  ", usage, re.M)
        must(sorted(commands) == sorted(parts), f"fief has {commands}, the page {sorted(parts)}")
        for command in commands:
            _, out, _ = self.run([self.given.fief, command, "--help"])
            line = re.search(r"usage: (fief .*)", out)[1]
            options = set(re.findall(r"(?<![\w-])(--?[a-z-]+)\b", out))
            missing = [option for option in sorted(options) if f"*{option}*" not in parts[command]]
            must(not missing, f"fief {command}: {missing}")
            heading = " ".join(parts[command].splitlines()[0].split())
            told = set(re.findall(r"[A-Z]+|--?[a-z-]+", line))
            must(told <= set(re.findall(r"[A-Z]+|--?[a-z-]+", heading)), f"{heading} is not {line}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fief")
    parser.add_argument("build")
    parser.add_argument("library")
    parser.add_argument("compiler", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    given.fief = given.fief and os.path.abspath(given.fief)
    names = [name for name in vars(Pages) if re.match("[a-z]+_.*_", name)]
    print(f"TAP version 13\n1..{len(names)}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        pages = Pages(given, pathlib.Path(folder))
        for number, name in enumerate(names, 1):
            line = f"{number} {name}"
            try:
                getattr(pages, name)()
                print(f"ok {line}", flush=True)
            except Skipped as why:
                print(f"ok {line} # SKIP {why}", flush=True)
            except Failed as why:
                failed += 1
                print(f"not ok {line}\n# " + str(why).replace("\n", "\n# "), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
