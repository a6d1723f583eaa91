#!/usr/bin/env python3
"""The man pages of docs/man.

usage: man.py page FILE.scd             the page, by scdoc
       man.py pages FOLDER FILE.scd...  each into the folder, under its name without .scd
       man.py names FILE.3.scd...       of each function in a synopsis: its name, and its page's,
                                        where that is another

A page has the day of SOURCE_DATE_EPOCH, or else of the last entry in Debian's changelog, so that the
same sources give the same pages."""
import email.utils
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHANGELOG = ROOT / "packaging/debian/changelog"
# A declaration's own name stands before its parameters; a callback's, in parentheses, does not.
NAME = re.compile(r"^[a-zA-Z][\w *]*?\b(fief_\w+)(?:\(|\[)", re.M)


def unescaped(text):
    return re.sub(r"\\(.)", r"\1", text)


def sections(page):
    """{heading: its text} in order; a heading is a line with one #."""
    found, name, literal = {}, None, False
    for line in page.read_text(encoding="utf-8").splitlines(keepends=True):
        literal ^= line == "```\n"
        if line.startswith("# ") and not literal:
            name = line[2:].strip()
            found[name] = ""
        elif name is not None:
            found[name] += line
    return found


def blocks(text):
    """What stands between pairs of ```, as it is read."""
    return [unescaped(block) for block in re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)]


def functions(page):
    """What a page's synopsis declares."""
    return [name for block in blocks(sections(page)["SYNOPSIS"]) for name in NAME.findall(block)]


def day():
    if "SOURCE_DATE_EPOCH" in os.environ:
        return os.environ["SOURCE_DATE_EPOCH"]
    entries = CHANGELOG.read_text() if CHANGELOG.exists() else ""
    dates = re.findall(r"^ -- .*?>  (.*)$", entries, re.M)
    return str(int(email.utils.parsedate_to_datetime(dates[0]).timestamp())) if dates else None


def make(file, output):
    """scdoc's exit status."""
    environment = dict(os.environ, SOURCE_DATE_EPOCH=day()) if day() else None
    with open(file, encoding="utf-8") as page:
        return subprocess.run(["scdoc"], stdin=page, stdout=output, env=environment,
                              check=False).returncode


def make_all(folder, files):
    for file in files:
        with open(folder / file.name.removesuffix(".scd"), "wb") as output:
            if make(file, output) != 0:
                sys.exit(f"man.py: scdoc refuses {file}")


def main():
    command, files = sys.argv[1], [pathlib.Path(word) for word in sys.argv[2:]]
    if command == "page":
        sys.exit(make(files[0], None))
    if command == "pages":
        make_all(files[0], files[1:])
        return
    for page in files:
        for name in functions(page):
            if page.name != name + ".3.scd":
                print(name, page.name.removesuffix(".scd"))


if __name__ == "__main__":
    main()
