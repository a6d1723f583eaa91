#!/usr/bin/env python3
"""Prints docs/misuse.md: each class of misuse with its smallest program, as the rows of tests/misuse/
have it, and the report that it gives, taken from a run.

usage: misuse_doc.py TEST-MISUSE             print it (the debug build's program)
       misuse_doc.py TEST-MISUSE --check FILE    has FILE the library's classes and the rows' programs?

A program is shown as a difference: with - what the mistake does, with + what is right. The process
number and the addresses of a report are left out, and the frames of the test's own driver."""
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/misuse"))
import matrix  # noqa: E402

HEAD = """# Misuse

A misuse is a host that broke the library's contract. Each has a class, whose name never changes: a
report begins with it, `fief_misuse_explain` has the sentence that stands here below its name, and
`config.on_misuse` gets its number. In a guarded build most are noticed at the call or access itself,
the rest when the block, its arena or the runtime is next freed, checked, reset or closed.

`./dev misuse --doc` prints this page: the programs are rows of `tests/misuse/`, the reports are from
running them in the debug build. In a program, `-` marks the mistake and `+` what is right instead;
`heap` is the heap of the runtime `rt`, whose kinds table stands in `tests/misuse/rows.c`.
`./dev misuse` shows every row in every mode, and `./dev misuse double-free-heap` one report as it is.

A system call that is given dead memory (`read` into a block of an ended unit) fails with `EFAULT` and
raises no signal, so it is not reported: look at what it returns, and at the block's lifetime.
"""


# ---- a row's program ----


def split_call(text, start):
    """The arguments of the call whose parenthesis opens at `start`, and the end of it."""
    depth, begin, arguments = 0, start + 1, []
    for i in range(start, len(text)):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(text[i], 0)
        if (text[i] == "," and depth == 1) or depth == 0:
            arguments.append(text[begin:i].strip())
            begin = i + 1
        if depth == 0:
            return arguments, i + 1
    raise SystemExit(f"misuse_doc.py: no end of a call: {text}")


def choose_or(line, index):
    """OR(wrong, right) becomes one of them."""
    while (at := re.search(r"\bOR\(", line)) is not None:
        arguments, end = split_call(line, at.end() - 1)
        line = line[:at.start()] + arguments[index] + line[end:]
    return line


STEP = re.compile(r"(\s*)(MADE|DIED|FOUND|ACCESS|WRONG|RIGHT)\(")
NOTES = {"MADE": "  /* allocated at */", "DIED": "  /* died at */", "FOUND": "  /* found at */"}


def plain(line):
    """(the word around the statement or "", the statement without it)"""
    step = STEP.match(line)
    if step is None:
        return "", line
    end = line.rindex(")")
    return step[2], step[1] + line[step.end():end] + ";"


def as_difference(line):
    word, statement = plain(line)
    wrong, right = choose_or(statement, 0), choose_or(statement, 1)
    note = NOTES.get(word, "")
    lines = []
    if word != "RIGHT" and (word == "WRONG" or wrong != right):
        lines.append("- " + wrong + note)
    if word != "WRONG" and (word == "RIGHT" or wrong != right):
        lines.append("+ " + right + note)
    return lines or ["  " + statement + note]


def function_in(source, name):
    found = re.search(rf"^static void {name}\(.*?\n\{{\n(.*?)^\}}\n", source, re.M | re.S)
    return found[1] if found else None


def program_of(row):
    """The row's statements; those that run on another thread behind a comment."""
    file = ROOT / "tests/misuse" / pathlib.Path(row["file"]).name
    source = file.read_text(encoding="utf-8")
    body = function_in(source, row["function"])
    elsewhere = re.search(r"on_another_thread\((\w+)", body)
    lines = [] if elsewhere is None else ["    /* on another thread: */"]
    text = body if elsewhere is None else function_in(source, elsewhere[1])
    lines += [line for line in text.splitlines() if "bool mistaken" not in line]
    shown = [new for line in lines for new in as_difference(line[4:])]
    return "\n".join(line.rstrip() for line in shown)


# ---- its report ----


def without_numbers(line):
    """A line of a report without what differs from run to run."""
    line = re.sub(r"==\d+==", "==1==", line)
    line = re.sub(r"0x[0-9a-f]+", "0x...", line)
    return re.sub(r"\bthread \d+,", "thread 1,", line)


def report_of(rows, row):
    _, _, err, _ = rows.run(matrix.name_of(row), "mistake")
    lines = []
    for line in err.splitlines():
        if re.match(r" +#\d+ 0x", line) and pathlib.Path(row["file"]).name not in line:
            continue
        line = without_numbers(line)
        source = re.match(r"( +> \d+ \| )(.*)", line)
        lines.append(source[1] + choose_or(plain(source[2])[1].strip(), 0) if source else line)
        if line.startswith("SUMMARY"):
            break
    return "\n".join(lines)


# ---- the page ----


def rows_of_classes(program):
    """(class, its explanation, its first row that debug notices or None), in the library's order."""
    table = matrix.table_of(program, "--rows")
    for entry in matrix.table_of(program, "--classes"):
        of_class = [row for row in table if row["class"] == entry["class"] and row["debug"] != ""]
        yield entry["class"], entry["explain"], of_class[0] if of_class else None


def print_page(program):
    rows = matrix.Rows("debug", program)
    print(HEAD)
    for name, explain, row in rows_of_classes(program):
        print(f"## {name}\n\n{textwrap.fill(explain, 99)}\n")
        if row is not None:
            print(f"```diff\n{program_of(row)}\n```\n\n```\n{report_of(rows, row)}\n```\n")
    rows.close()


def check(program, file):
    sections = re.split(r"^## ", pathlib.Path(file).read_text(encoding="utf-8"), flags=re.M)[1:]
    told = {}
    for section in sections:
        shown = re.search(r"```diff\n(.*?)\n```", section, re.S)
        told[section.split("\n", 1)[0]] = (section, shown[1] if shown else "")
    wrong = 0
    for name, explain, row in rows_of_classes(program):
        section, shown = told.pop(name, ("", ""))
        has_text = textwrap.fill(explain, 99) in section
        if not has_text or shown != (program_of(row) if row is not None else ""):
            print(f"{file}: '{name}' is not as the library and its row have it")
            wrong += 1
    for name in told:
        print(f"{file}: '{name}' is no class of the library")
    if wrong or told:
        print("./dev misuse --doc > docs/misuse.md prints it anew")
    return 1 if wrong or told else 0


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[2] == "--check":
        sys.exit(check(sys.argv[1], sys.argv[3]))
    print_page(sys.argv[1])
