#!/usr/bin/env python3
"""Runs the rows of tests/misuse/ in each mode and says who noticed what, and when.

usage: matrix.py [--json | --tap | --red] [--own] [--no-sites] [--only TEXT]... MODE=PROGRAM...

MODE is debug, asan or valgrind; PROGRAM is test-misuse as that mode's build has it (valgrind runs
the debug build's). Without an option: a table for people. --own takes the rows that the modes notice
otherwise than debug does. --red names the rows whose mistake is not reported as it should be,
and runs nothing else.

A cell is `now` when the report came in the middle of the mistake, `next` when the row's program had
gone on, `missed` when there was none. A row noticed at a call is run once more with a handler that
refuses: then the runtime's figures must be the same after the call as before."""
import argparse
import dataclasses
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import reports

MODES = ("debug", "asan", "valgrind")
VALGRIND = ["valgrind", "-q", "--vgdb=no", "--leak-check=no", "--exit-on-first-error=yes",
            "--error-exitcode=99"]


# ---- running ----


class Rows:
    """One test-misuse process that forks a child for each row it is asked to run."""

    def __init__(self, mode, program):
        self.mode = mode
        self.folder = tempfile.TemporaryDirectory(prefix="fief-misuse-")
        self.path = pathlib.Path(self.folder.name)
        command = [program, "--serve"]
        if mode == "valgrind":
            command = [*VALGRIND, f"--log-file={self.path}/%p.log", *command]
        self.server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       text=True, env=environment(mode))

    def run(self, name, how):
        """Returns (exit status, stdout, stderr, Valgrind's log)."""
        out, err = self.path / "out", self.path / "err"
        self.server.stdin.write(f"{name} {how} {out} {err}\n")
        self.server.stdin.flush()
        answer = self.server.stdout.readline().split()
        if len(answer) != 2:
            raise SystemExit(f"matrix.py: test-misuse ({self.mode}) stopped at {name}")
        log = self.path / f"{answer[0]}.log"
        log_text = read(log) if log.exists() else ""
        return int(answer[1]), read(out), read(err), log_text

    def close(self):
        self.server.stdin.close()
        self.server.wait()
        self.folder.cleanup()


def read(path):
    return path.read_text(encoding="utf-8", errors="replace")


def environment(mode):
    """ASan puts locals elsewhere to notice their use after a return: as its users do, we let it."""
    changed = dict(os.environ)
    if mode == "asan":
        options = "detect_leaks=0:detect_stack_use_after_return=1:allocator_may_return_null=1"
        changed["ASAN_OPTIONS"] = options
    return changed


def table_of(program, what):
    text = subprocess.run([program, what], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in text.splitlines()]


# ---- judging ----


@dataclasses.dataclass
class Cell:
    row: dict
    mode: str
    expected: str
    got: str
    class_name: str
    class_ok: bool
    sites_ok: int
    sites: int
    control_silent: bool
    wrong_sites: list
    refusal: str  # "", "unchanged", or what was not
    by_fief: bool

    def as_json(self):
        return json.dumps({"misuse": self.row["misuse"], "variant": self.row["variant"],
                           "mode": self.mode, "expected": self.expected, "got": self.got,
                           "class_ok": self.class_ok, "sites_ok": self.sites_ok,
                           "control_silent": self.control_silent})

    def word(self):
        wrong = self.got != "missed" and not self.class_ok
        return "wrong class" if wrong else self.got

    def is_as_it_should_be(self):
        return (self.got == self.expected and self.class_ok and self.sites_ok == self.sites and
                self.control_silent and self.refusal in ("", "unchanged"))

    def complaint(self):
        parts = [] if self.got == self.expected else [f"expected {self.expected}, got {self.got}"]
        if not self.class_ok:
            parts.append(f"class {self.class_name or 'none'}, not {self.row['class']}")
        parts += [f"{site}: {said}, not {true}" for site, said, true in self.wrong_sites]
        parts += [] if self.control_silent else ["the control is not silent"]
        parts += [] if self.refusal in ("", "unchanged") else [self.refusal]
        return "; ".join(parts)


def name_of(row):
    return f"{row['misuse']}-{row['variant']}"


def class_fits(row, report):
    """A tool has classes of its own: those of an access to a block's outside, or to a dead one."""
    if report.by == "fief":
        return report.name == row["class"]
    if row["class"] == "uninitialised":
        return "uninitialised" in report.name
    if report.by == "memcheck":
        return report.name.split()[-1] in ("read", "write")
    return report.name in ("use-after-poison", "SEGV", "heap-buffer-overflow", "heap-use-after-free")


def sites_that_must_be_right(trail, report, got):
    """ASan does not know the blocks, so its report has one site, as memcheck's of a value has. A leak
    was made, and is all."""
    places = trail.places
    used = places.get("wrong" if got == "now" else "found")
    true = {"used": used, "died": places.get("died"), "allocated": places.get("made")}
    alone = report.by == "asan" or "uninitialised" in report.name
    asked = ("used",) if alone else reports.SITES
    asked = ("allocated",) if report.name == "leak" else asked
    return {site: true[site] for site in asked if true[site] is not None}


def look_at(row, mode, out, err, log):
    trail = reports.Trail.read(out)
    report = reports.fief_report(err, row["file"])
    if mode == "asan" and report is None:
        report = reports.asan_report(err, row["file"])
    if mode == "valgrind":
        report = reports.memcheck_report(log, row["file"]) or report
    return trail, report


def refusal_of(rows, row):
    """A call that the handler refuses leaves no trace."""
    status, out, err, _ = rows.run(name_of(row), "refused")
    words = reports.Trail.read(out).words
    expected = [f"refused {row['class']}", "figures-same", "no-trace"]
    if status == 0 and words == expected and err == "":
        return "unchanged"
    return f"refused: status {status}, said {', '.join(words) or 'nothing'} {err[:200]}".strip()


def judge_mistake(rows, row, mode, tells_sites):
    """The cell as far as the mistake alone tells."""
    _, out, err, log = rows.run(name_of(row), "mistake")
    trail, report = look_at(row, mode, out, err, log)
    got = "missed" if report is None else ("now" if trail.is_in_mistake else "next")
    wrong, total = [], 0
    if report is not None and tells_sites:
        true = sites_that_must_be_right(trail, report, got)
        total = len(true)
        wrong = [(site, report.sites.get(site), place) for site, place in true.items()
                 if report.sites.get(site) != place]
    return Cell(row, mode, row[mode], got, report.name if report else "",
                report is not None and class_fits(row, report), total - len(wrong), total, True,
                wrong, "", report is not None and report.by == "fief")


def judge(rows, row, mode, tells_sites, refuses):
    cell = judge_mistake(rows, row, mode, tells_sites)
    status, control_out, control_err, control_log = rows.run(name_of(row), "control")
    cell.control_silent = status == 0 and control_err == "" and "==" not in control_log
    is_call = "wrong" not in reports.Trail.read(control_out).places and row["debug"] == "now"
    if is_call and refuses and cell.by_fief:
        cell.refusal = refusal_of(rows, row)
    return cell


def judge_all(programs, rows_chosen, tells_sites):
    """Yields the cells of one row after the other, in the order of the table."""
    started = {mode: Rows(mode, program) for mode, program in programs.items()}
    for row in rows_chosen:
        for mode, rows in started.items():
            if row[mode] != "":
                yield judge(rows, row, mode, tells_sites, mode != "valgrind")
    for rows in started.values():
        rows.close()


def red_rows(mode, program, table, tells_sites):
    rows = Rows(mode, program)
    for row in table:
        if row[mode] != "" and not judge_mistake(rows, row, mode, tells_sites).is_as_it_should_be():
            yield f"{row['misuse']}/{row['variant']}"
    rows.close()


def choose(table, only, own):
    rows = [row for row in table if not only or any(text in name_of(row) for text in only)]
    return [row for row in rows if not own or any(row[mode] != row["debug"] for mode in own)]


def classes_without_a_row(program, table):
    known = {row["class"] for row in table}
    return [c["class"] for c in table_of(program, "--classes") if c["class"] not in known]


# ---- telling ----

COLOURS = {"now": "32", "next": "36", "missed": "31", "wrong class": "31"}


def colours_wanted():
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def painted(word, width, colours):
    text = f"{word:<{width}}"
    code = COLOURS.get(word.rstrip("*"))
    return f"\033[{code}m{text}\033[0m" if colours and code else text


def table_line(cells, modes, colours):
    by_mode = {cell.mode: cell for cell in cells}
    row = cells[0].row
    line = f"{row['misuse']:<24}{row['variant']:<25}"
    for mode in modes:
        cell = by_mode.get(mode)
        star = "" if cell is None or cell.is_as_it_should_be() else "*"
        line += painted("-" if cell is None else cell.word() + star, 10, colours)
    return line.rstrip()


def mode_totals(mode, cells):
    refused = [c for c in cells if c.refusal]
    right, sites = sum(c.sites_ok for c in cells), sum(c.sites for c in cells)
    lines = [f"{mode}: {len(cells)} rows, {sum(c.got == c.expected for c in cells)} noticed as "
             f"expected, {sum(c.class_ok for c in cells)} by the right class"]
    lines.append(f"  {right} of {sites} sites right, {sum(c.control_silent for c in cells)} of "
                 f"{len(cells)} controls silent")
    if refused:
        good = sum(c.refusal == "unchanged" for c in refused)
        lines.append(f"  {good} of {len(refused)} refused calls left no trace")
    return "\n".join(lines)


def print_people(cells, modes):
    colours = colours_wanted()
    print(f"{'misuse':<24}{'variant':<25}" + "".join(f"{mode:<10}" for mode in modes).rstrip())
    seen, pending = [], []
    for cell in itertools.chain(cells, [None]):
        if pending and (cell is None or cell.row is not pending[0].row):
            print(table_line(pending, modes, colours), flush=True)
            for bad in pending:
                if not bad.is_as_it_should_be():
                    print(f"    * {bad.mode}: {bad.complaint()}")
            pending = []
        if cell is not None:
            pending.append(cell)
            seen.append(cell)
    print("\nnow: at the bad call or access; next: at the free, reset, check or close;")
    print("-: not this mode's to notice; *: not as the table of tests/misuse/ says\n")
    for mode in modes:
        print(mode_totals(mode, [c for c in seen if c.mode == mode]))
    return seen


def print_tap(cells, lonely):
    print("TAP version 13", flush=True)
    seen = []
    for cell in cells:
        seen.append(cell)
        verdict = "ok" if cell.is_as_it_should_be() else "not ok"
        note = "" if cell.is_as_it_should_be() else " (" + cell.complaint().replace("#", "") + ")"
        print(f"{verdict} {len(seen)} - {cell.mode} {name_of(cell.row)}{note}", flush=True)
    verdict = "not ok" if lonely else "ok"
    print(f"{verdict} {len(seen) + 1} - every class has a row {' '.join(lonely)}")
    print(f"1..{len(seen) + 1}")
    return seen


def print_json(cells):
    seen = []
    for cell in cells:
        seen.append(cell)
        print(cell.as_json(), flush=True)
    return seen


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--tap", action="store_true")
    parser.add_argument("--red", action="store_true")
    parser.add_argument("--own", action="store_true")
    parser.add_argument("--no-sites", action="store_true")
    parser.add_argument("--only", action="append")
    parser.add_argument("programs", nargs="+", metavar="MODE=PROGRAM")
    given = parser.parse_args()
    given.programs = dict(program.split("=", 1) for program in given.programs)
    if not set(given.programs) <= set(MODES):
        parser.error(f"a mode is one of {', '.join(MODES)}")
    return given


def main():
    given = arguments()
    program = next(iter(given.programs.values()))
    table = table_of(program, "--rows")
    if given.red:
        for mode, program in given.programs.items():
            print("\n".join(red_rows(mode, program, table, not given.no_sites)))
        return 0
    own = list(given.programs) if given.own else []
    cells = judge_all(given.programs, choose(table, given.only, own), not given.no_sites)
    lonely = classes_without_a_row(program, table)
    if given.tap:
        seen = print_tap(cells, lonely)
    elif given.json:
        seen = print_json(cells)
    else:
        seen = print_people(cells, given.programs)
    return 0 if seen and not lonely and all(c.is_as_it_should_be() for c in seen) else 1


if __name__ == "__main__":
    sys.exit(main())
