#!/usr/bin/env python3
"""Writes the library as two files, fief.h and fief.c.

usage: amalgamate.py [--guard none|poison|asan] [--depfile FILE] [ROOT] [DIRECTORY]

fief.h is the public headers, and each of include/fief/adapt/ behind a macro (FIEF_ADAPT_LUA).
fief.c is the library over one guard. Each of its inner names is static, since a host may have an
arena_alloc as well; a name that two source files use for different things begins with its file's
name there. Nothing depends on the day or the place: the same tree gives the same bytes.
"""
import argparse
import collections
import pathlib
import re
import sys

TOKEN = re.compile(r"""(?P<comment>/\*.*?\*/|//[^\n]*)|(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<directive>^[ \t]*\#(?:\\\n|/\*.*?\*/|[^\n])*)|(?P<name>[A-Za-z_]\w*)|(?P<space>\s+)
    |(?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)|(?P<mark>->|.)""", re.S | re.M | re.X)
INCLUDE = re.compile(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
PRIVATE = "FIEF_PRIVATE "
FLAGS = {"none": "cc -O2 -c fief.c",
         "poison": "cc -O2 -g -fno-optimize-sibling-calls -c fief.c",
         "asan": "cc -O2 -g -fno-optimize-sibling-calls -c fief.c (not watched itself: "
                 "-fsanitize=address\n * is for the host, and for linking)"}
HEAD = """/* Fief {version}, the memory of a language interpreter, as two files: fief.h and fief.c.
 * Made by ./dev amalgamate --guard {guard}: change the sources, not this.
 *
 *     {flags}
{more} *
{licence} */
"""
SITES = """ *
 * -DFIEF_WITH_LIBDW, and -ldw when linking: reports name functions and lines.
"""


def fail(what):
    sys.exit(f"amalgamate: {what}")


def tokens_of(text):
    return [(match.lastgroup, match[0]) for match in TOKEN.finditer(text)]


def is_code(token):
    return token[0] not in ("comment", "space", "directive")


def chunks_of(tokens):
    """The declarations at file scope: the index of the first and behind the last token of each."""
    start, depth, body = None, 0, False
    for i, token in enumerate(tokens):
        if not is_code(token):
            continue
        start = i if start is None else start
        if token[1] in ("{", "(", "["):
            if token[1] == "{" and depth == 0:
                before = next((t[1] for t in reversed(tokens[start:i]) if is_code(t)), "")
                body = before == ")"
            depth += 1
        elif token[1] in ("}", ")", "]"):
            depth -= 1
        if depth == 0 and (token[1] == ";" or (token[1] == "}" and body)):
            yield start, i + 1
            start, body = None, False


def flat(code):
    """Without what stands in braces and brackets, and without attributes."""
    out, depth, skip = [], 0, False
    for word in code:
        if word in ("{", "["):
            depth += 1
        if depth == 0:
            out.append(word)
        if word in ("}", "]"):
            depth -= 1
    text = re.sub(r"__attribute__ \( (\( .*? \)) \)(?= )", "", " ".join(out) + " ")
    return text.replace("  ", " ").split()


class Declaration:
    """What a chunk declares: a function, an object, or types and constants."""

    def __init__(self, code):
        self.code, self.flat = code, flat(code)
        before_body = code[:code.index("{")] if "{" in code else code
        is_macro = code[0].isupper()  # FIEF_INLINE, or one that makes a static function
        self.is_static = "static" in before_body or is_macro
        self.is_typedef = self.flat[0] == "typedef"
        head = self.flat[:self.flat.index("=")] if "=" in self.flat else self.flat
        self.is_function = not self.is_typedef and "(" in head and head[head.index("(") - 1] != "="
        self.name = self.name_in(head)
        self.is_type = self.is_typedef or self.name is None
        self.constants = self.constants_in(code)

    def name_in(self, head):
        words = [word for word in head if word != ";"]
        if self.is_function:
            return words[words.index("(") - 1]
        if "(" in words:  # a pointer to a function, or a function's type
            pointed = re.search(r"\( \* (\w+) \)", " ".join(words))
            return pointed[1] if pointed else words[words.index("(") - 1]
        if words and words[0] in ("enum", "struct", "union") and len(words) <= 2:
            return None
        return words[-1] if words and re.fullmatch(r"\w+", words[-1]) else None

    @staticmethod
    def constants_in(code):
        text = " ".join(code)
        found = []
        for body in re.findall(r"\benum (?:\w+ )?\{([^}]*)\}", text):
            found += [re.match(r"\s*(\w+)", part)[1] for part in body.split(",") if part.strip()]
        return found

    def names(self):
        """Of file scope, but for tags: those of a source file complete a header's types."""
        return ([self.name] if self.name is not None else []) + self.constants


def declarations_of(text):
    tokens = tokens_of(text)
    for first, last in chunks_of(tokens):
        code = [token[1] for token in tokens[first:last] if is_code(token)]
        if code != [";"]:
            yield Declaration(code)


def members_at(tokens):
    """The indices of the names of members, where a struct declares them."""
    found, stack, code = set(), [], [i for i, token in enumerate(tokens) if is_code(token)]
    for at, i in enumerate(code):
        word = tokens[i][1]
        if word == "{":
            before = [tokens[j][1] for j in code[max(0, at - 2):at]]
            stack.append(any(w in ("struct", "union") for w in before))
        elif word == "}" and stack:
            stack.pop()
        elif stack and stack[-1] and tokens[i][0] == "name" and at + 1 < len(code):
            if tokens[code[at + 1]][1] in (";", ",", "[", ":"):
                found.add(i)
    return found


def renamed(text, names):
    """Identifiers by other names; members keep theirs. Directives are text of their own."""
    tokens = tokens_of(text)
    members, out, before = members_at(tokens), [], ""
    for i, (kind, word) in enumerate(tokens):
        if kind == "directive" and "include" not in word:
            word = re.sub(r"(?<![\w.>])[A-Za-z_]\w*", lambda m: names.get(m[0], m[0]), word)
        elif kind == "name" and before not in (".", "->") and i not in members:
            word = names.get(word, word)
        out.append(word)
        before = word if is_code((kind, word)) else before
    return "".join(out)


def made_private(text, public):
    """Each function and object that is not public becomes static."""
    tokens = tokens_of(text)
    out, done = [], 0
    for first, last in chunks_of(tokens):
        code = [token[1] for token in tokens[first:last] if is_code(token)]
        out += [token[1] for token in tokens[done:first]]
        said = Declaration(code) if code != [";"] else None
        words = [token[1] for token in tokens[first:last]]
        if said is not None and not said.is_static and not said.is_type and said.name not in public:
            if words[0] == "extern":
                hidden = re.escape('__attribute__((visibility("hidden")))')
                words = [re.sub(rf"extern (?:{hidden} )?", "", "".join(words))]
            out.append(PRIVATE)
        out += words
        done = last
    return "".join(out + [token[1] for token in tokens[done:]])


def without_guard(text):
    """A header without its own #ifndef."""
    found = re.search(r"^#ifndef (\w+_H)\n#define \1\n(.*)^#endif\s*\Z", text, re.S | re.M)
    return text[:found.start()] + found[2].lstrip("\n") if found else text


class Tree:
    def __init__(self, root, guard):
        self.root, self.guard = root, guard
        self.folders = [root / "include", root / "src", root / "src/guard" / guard]
        self.seen, self.system = set(), []
        build = (root / "meson.build").read_text(encoding="utf-8")
        self.version = re.search(r"version: '([^']+)'", build)[1]
        sources = re.sub(r"#.*", "", build)
        self.sources = [name for name in re.findall(r"'(src/[\w/]+\.c)'", sources)
                        if "/guard/" not in name or f"/guard/{guard}/" in name]
        if guard == "none":
            self.sources = [name for name in self.sources if name != "src/sites/libdw.c"]

    def find(self, name, beside):
        for folder in [beside, *self.folders]:
            if (folder / name).is_file():
                return (folder / name).resolve()
        return None

    def inline(self, path, text=None):
        """A file with the headers of ours that nobody has brought yet; the system's are listed."""
        self.seen.add(path)
        text = path.read_text(encoding="utf-8") if text is None else text
        text = without_guard(text) if path.suffix == ".h" else text
        out, depth = [], 0
        for line in text.splitlines(keepends=True):
            found = INCLUDE.match(line)
            depth += len(re.findall(r"^\s*#\s*if", line)) - len(re.findall(r"^\s*#\s*endif", line))
            if found is None:
                out.append(line)
                continue
            own = self.find(found[1] or found[2], path.parent)
            if own is None and depth == 0:
                self.system.append(found[2] or found[1])
            elif own is None:
                out.append(line)
            elif own not in self.seen:
                out.append(self.part(own))
        return re.sub(r"\n{3,}", "\n\n", "".join(out)).strip("\n") + "\n"

    def part(self, path):
        body = self.inline(path)
        return f"\n/* ==== {path.relative_to(self.root)} ==== */\n{body}"

    def includes(self):
        names, self.system = sorted(set(self.system)), []
        return "".join(f"#include <{name}>\n" for name in names)


def new_names(bodies, headers):
    """By source file: the names that another one has too, with what they become."""
    owners = collections.defaultdict(set)
    declared = {name: list(declarations_of(body)) for name, body in bodies.items()}
    in_headers = {n for d in declarations_of(headers) for n in d.names()}
    for file, found in declared.items():
        for d in found:
            for name in d.names() if d.is_static or d.is_type else []:
                owners[name].add(file)
    stems = collections.Counter(pathlib.Path(file).stem for file in bodies)
    changes = collections.defaultdict(dict)
    for name, files in owners.items():
        for file in files if len(files) > 1 or name in in_headers else []:
            path = pathlib.Path(file)
            stem = path.stem if stems[path.stem] == 1 else f"{path.parent.name}_{path.stem}"
            changes[file][name] = f"{stem}_{name}" if name.islower() else f"{stem.upper()}_{name}"
    return changes


def undefined_after(body):
    """A source file's macros end with it: the next one may have others of those names."""
    names = re.findall(r"^#define (\w+)", body, re.M)
    optional = set(re.findall(r"^#ifndef (\w+)", body, re.M))
    return "".join(f"#undef {name}\n" for name in dict.fromkeys(names) if name not in optional)


def header_file(tree, head):
    body = tree.inline(tree.root / "include/fief/fief.h")
    adapters = ""
    for path in sorted((tree.root / "include/fief/adapt").glob("*.h")):
        keep, tree.system = tree.system, []
        inner = tree.inline(path)
        inner = tree.includes() + inner
        tree.system = keep
        macro = "FIEF_ADAPT_" + path.stem.upper().replace("-", "_")
        adapters += f"\n#ifdef {macro}\n/* ==== {path.relative_to(tree.root)} ==== */\n{inner}#endif\n"
    body = re.sub(r"/\*\* @(file|mainpage)\n", "/**\n", body)
    return (f"{head}#ifndef FIEF_FIEF_H\n#define FIEF_FIEF_H\n\n{tree.includes()}\n{body}{adapters}"
            "\n#endif\n")


def own_headers(root, guard, sources):
    """All that the sources bring, but for the public ones."""
    tree = Tree(root, guard)
    for name in sources:
        tree.inline(root / name)
    return "".join(path.read_text(encoding="utf-8") for path in sorted(tree.seen)
                   if path.suffix == ".h" and root / "include" not in path.parents)


def section(tree, name, text):
    """One source file. What finds sites is there twice: with libdw, and without."""
    common, tree.system = tree.system, []
    text = tree.inline(tree.root / name, text)
    chosen = {"src/sites/libdw.c": "#ifdef", "src/sites/none.c": "#ifndef"}.get(name)
    if tree.guard == "none" or chosen is None:
        tree.system += common
        return text
    own, tree.system = tree.includes(), common
    return f"{chosen} FIEF_WITH_LIBDW\n{own}{text}#endif\n"


def source_file(tree, head, public):
    bodies = {name: (tree.root / name).read_text(encoding="utf-8") for name in tree.sources}
    changes = new_names(bodies, own_headers(tree.root, tree.guard, tree.sources))
    out = []
    for name, body in bodies.items():
        text = section(tree, name, renamed(body, changes[name]))
        text = made_private(text, public) + undefined_after(body)
        out.append(f"\n/* ==== {name} ==== */\n{text}")
    return (f"{head}#ifndef _GNU_SOURCE\n#define _GNU_SOURCE\n#endif\n#include \"fief.h\"\n\n"
            f"{tree.includes()}\n#define FIEF_PRIVATE static __attribute__((unused))\n"
            + "".join(out))


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n")[2][7:])
    parser.add_argument("--guard", choices=["none", "poison", "asan"], default="none")
    parser.add_argument("--depfile", type=pathlib.Path, help="what was read, for make or ninja")
    parser.add_argument("root", nargs="?", default=str(pathlib.Path(__file__).parent.parent))
    parser.add_argument("directory", nargs="?", default="build/two-files")
    options = parser.parse_args()
    tree = Tree(pathlib.Path(options.root).resolve(), options.guard)
    licence = (tree.root / "LICENSE").read_text(encoding="utf-8").strip().splitlines()
    head = HEAD.format(version=tree.version, guard=options.guard, flags=FLAGS[options.guard],
                       more="" if options.guard == "none" else SITES,
                       licence="".join(f" * {line}".rstrip() + "\n" for line in licence))
    header = header_file(tree, head)
    public = {name for name in re.findall(r"\b(fief_\w+)", header)}
    source = source_file(tree, head, public)
    folder = pathlib.Path(options.directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "fief.h").write_text(header, encoding="utf-8")
        (folder / "fief.c").write_text(source, encoding="utf-8")
        if options.depfile:
            read = sorted(tree.seen | {tree.root / name for name in tree.sources})
            options.depfile.write_text(f"{folder}/fief.h: {' '.join(map(str, read))}\n",
                                       encoding="utf-8")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    print(f"{folder}/fief.h {folder}/fief.c: Fief {tree.version}, guard {options.guard}")


if __name__ == "__main__":
    main()
