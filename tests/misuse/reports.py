"""What a row said: the trail that its program left on stdout, and the report of whoever noticed.

A report is read into a Report: who noticed, which class, and up to three sites ("used", "died",
"allocated"), each as (function, line) of the first frame that lies in the row's own file."""
import dataclasses
import pathlib
import re

SITES = ("used", "died", "allocated")


@dataclasses.dataclass
class Report:
    by: str  # "fief", "asan", "memcheck"
    name: str  # the class, or the tool's own word for it
    sites: dict


@dataclasses.dataclass
class Trail:
    """Where the program went, as it told: `places` by what happened there, and whether the report
    came in the middle of the mistake."""

    places: dict
    is_in_mistake: bool
    words: list

    @classmethod
    def read(cls, text):
        places, in_mistake, words = {}, False, []
        for line in text.splitlines():
            fields = line.split()
            if len(fields) == 4 and fields[0] in ("made", "died", "wrong", "found"):
                places.setdefault(fields[0], (fields[1], int(fields[2])))
                in_mistake = in_mistake or fields[0] == "wrong"
            elif fields[:1] == ["after"]:
                in_mistake = in_mistake and fields[3] != "0"
            else:
                words.append(line)
        return cls(places, in_mistake, words)


def first_in(frames, file):
    """The first (function, line) of the frames that lie in the row's file; None: there is none."""
    name = pathlib.Path(file).name
    for function, path, line in frames:
        if pathlib.Path(path).name == name:
            return function, int(line)
    return None


# ---- Fief's own ----

FIEF_FIRST = re.compile(r"==\d+==fief: misuse\[([\w-]+)\]: ")
FIEF_FRAME = re.compile(r"^ +#\d+ 0x[0-9a-f]+ in (\S+) (.+):(\d+)$")
FIEF_HEADING = re.compile(r"  ((?:holder |target )?[a-z]+(?: back)?) at\b")
# What a heading tells; any other word is what the call did that was noticed.
WORDS = {"died": "died", "allocated": "allocated", "target allocated": "allocated",
         "holder allocated": "holder"}
FIEF_LEAK = re.compile(r"^ *\d+ +\d+  .{17}\S+ +(\S+) (\S+):(\d+)", re.MULTILINE)


def fief_report(text, file):
    first = FIEF_FIRST.search(text)
    if first is None:
        return None
    if first[1] == "leak":
        return Report("fief", "leak", {"allocated": first_in(FIEF_LEAK.findall(text), file)})
    frames, section = {}, None
    for line in text[first.start():].splitlines()[1:]:
        heading = FIEF_HEADING.match(line)
        frame = FIEF_FRAME.match(line)
        if heading:
            section = frames.setdefault(WORDS.get(heading[1], "used"), [])
        elif frame and section is not None:
            section.append(frame.groups())
        elif line.startswith("SUMMARY"):
            break
    sites = {site: first_in(f[:1], file) for site, f in frames.items() if site in SITES}
    return Report("fief", first[1], sites)


# ---- AddressSanitizer's ----

ASAN_FIRST = re.compile(r"ERROR: (?:Address|Leak)Sanitizer:? ([\w-]+)")
ASAN_FRAME = re.compile(r"^ +#\d+ 0x[0-9a-f]+ in (\S+) (\S+?):(\d+)", re.MULTILINE)


def asan_report(text, file):
    first = ASAN_FIRST.search(text)
    if first is None:
        return None
    used = text[first.start():].split("\n\n")[0]
    return Report("asan", first[1], {"used": first_in(ASAN_FRAME.findall(used), file)})


# ---- memcheck's ----

MEMCHECK_FIRST = re.compile(r"(Invalid (?:read|write)|.*uninitialised).*")
MEMCHECK_FRAME = re.compile(r"(?:at|by) 0x[0-9A-F]+: (\S+) \(([^:)]+):(\d+)\)")
HEADERS = {path.name for path in (pathlib.Path(__file__).parents[2] / "include/fief").glob("*.h")}


def memcheck_place(frame, file):
    """(function, file, line) of a frame; None: it is an inlined verb's.

    Where a line of an inlined verb has the number of its caller's line, Valgrind 3.19 takes one for
    the other: the verb is said to be in the caller's file, or the caller in the verb's header. The
    public headers define verbs alone, so any other function that is said to be in one is the row's."""
    function, path, line = frame.groups()
    if function.startswith("fief_"):
        return None
    is_row = path in HEADERS and function != "UnknownInlinedFun"
    return function, file if is_row else path, line


def memcheck_report(log, file):
    lines = [re.sub(r"^==\d+== ?", "", line) for line in log.splitlines()]
    at = next((i for i, line in enumerate(lines) if MEMCHECK_FIRST.match(line)), None)
    if at is None:
        return None
    sections, site = {"used": []}, "used"
    for line in lines[at + 1:]:
        frame = MEMCHECK_FRAME.search(line)
        place = frame and memcheck_place(frame, file)
        if place:
            sections.setdefault(site, []).append(place)
        elif "free'd" in line:
            site = "died"
        elif "alloc'd" in line or "client-defined" in line:
            site = "allocated"
        elif line.strip() == "":
            break
    sites = {name: first_in(frames, file) for name, frames in sections.items()}
    return Report("memcheck", MEMCHECK_FIRST.match(lines[at])[1], sites)
