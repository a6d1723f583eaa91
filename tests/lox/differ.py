#!/usr/bin/env python3
"""Makes Lox programs and compares what lox does with what model.py says. Speaks TAP.

usage: differ.py LOX [--seed N] [--count N] [OPTION...]      each OPTION is handed to lox

Three sorts: programs that are mostly right, the same with a few tokens changed, and tokens in any
order. Compared are stdout, stderr with every line number, and the status. A difference is printed
with its program. Exit status 77 (skipped) without LOX.
"""
import argparse
import pathlib
import random
import subprocess
import sys
import tempfile

import model

NUMBERS = ["0", "1", "2", "3", "0.5", "10", "100000", "123456789", "1.25"]
STRINGS = ['""', '"s"', '"t"', '"st"', '"two\nlines"', '"x"']
SIGNS = ["+", "-", "*", "/", "==", "!=", "<", "<=", ">", ">="]
# What a name stands for, as long as a program keeps to it.
NAMES = {"number": ["a", "b", "c"], "string": ["s", "t"], "function": ["f", "g"],
         "class": ["A", "B", "C"], "instance": ["o", "p"]}
ANY = [name for names in NAMES.values() for name in names]
FIELDS, METHODS = ["x", "y", "z"], ["m", "n", "init"]
SOUP = ["(", ")", "{", "}", ",", ".", ";", "=", "!", "@", '"open', "// rest\n", "\n", "1.", ".5",
        *model.KEYWORDS, *SIGNS, *ANY, *FIELDS, *METHODS, *NUMBERS, *STRINGS]


class Writer:
    """Text of programs: what it makes parses mostly, and goes wrong at run time now and then."""

    def __init__(self, rng):
        self.rng, self.depth, self.loops = rng, 0, 0
        self.slip = rng.choice([0, 0, 0.003, 0.02])  # how often it does not keep to what names mean
        self.in_function = self.in_class = self.has_super = False
        self.scopes = []  # the names of each local one

    def pick(self, *makers):
        return self.rng.choice(makers)()

    def blank(self):
        return self.rng.choice([" "] * 12 + ["\n", "\n ", " // note\n"])

    def join(self, *parts):
        return "".join(part + self.blank() for part in parts if part)

    def slips(self):
        return self.rng.random() < self.slip

    def name(self, sort):
        return self.rng.choice(ANY if self.slips() else NAMES[sort])

    def fresh(self, sort):
        """A name to declare, or None where this scope has them all."""
        free = [name for name in NAMES[sort] if not self.scopes or name not in self.scopes[-1]]
        if not free and not self.slips():
            return None
        name = self.rng.choice(free or ANY)
        if self.scopes:
            self.scopes[-1].add(name)
        return name

    # expressions, by what they give

    def number(self):
        self.depth += 1
        simple = [lambda: self.rng.choice(NUMBERS), lambda: self.name("number")]
        more = [self.sum, self.sum, self.field, self.negative, self.set_number, self.set_field]
        calls = [self.call, self.invoke, self.invoke, self.super]
        if self.depth > 6:
            makers = simple
        elif self.in_function and self.rng.random() < 0.7:
            makers = simple + more  # few calls within calls: else every program ends in an overflow
        else:
            makers = simple + more + calls
        text = self.any() if self.slips() else self.rng.choice(makers)()
        self.depth -= 1
        return text

    def sum(self):
        return self.join("(", self.number(), self.rng.choice("+-*/"), self.number(), ")")

    def negative(self):
        return self.join("-", self.number())

    def set_number(self):
        return self.join("(", self.name("number"), "=", self.number(), ")")

    def field(self):
        return self.join(self.instance(), ".", self.rng.choice(FIELDS))

    def set_field(self):
        return self.join("(", self.field(), "=", self.number(), ")")

    def call(self):
        return self.join(self.name("function"), "(", self.number(), ")")

    def method(self):
        return self.rng.choice(METHODS[:1] * 3 + METHODS[1:] + (FIELDS if self.slips() else []))

    def invoke(self):
        name = self.method()
        text = self.join(self.instance(), ".", name, "(", self.number(), ")")
        return text if name == "m" else self.join(text, ".", self.rng.choice(FIELDS))

    def super(self):
        if not self.has_super:
            return self.number()
        name = self.rng.choice(["m", "k"]) if self.slips() else "m"
        return self.join("super", ".", name, "(", self.number(), ")")

    def string(self):
        if self.rng.random() < 0.6:
            return self.rng.choice([*STRINGS, self.name("string")])
        return self.join("(", self.string(), "+", self.string(), ")")

    def instance(self):
        if self.in_class and self.rng.random() < 0.6:
            return "this"
        return self.name("instance") if self.rng.random() < 0.9 or self.in_function else self.new()

    def new(self):
        return self.join(self.name("class"), "(", self.number(), ")")

    def bound(self):
        if self.has_super and self.rng.random() < 0.3:
            return self.join("super", ".", "m")
        return self.join(self.instance(), ".", self.rng.choice(METHODS))

    def truth(self):
        return self.pick(self.comparison, self.comparison, self.equality, self.logical,
                         self.opposite)

    def comparison(self):
        return self.join(self.number(), self.rng.choice(["<", "<=", ">", ">="]), self.number())

    def equality(self):
        return self.join(self.any(), self.rng.choice(["==", "!="]), self.any())

    def logical(self):
        return self.join("(", self.any(), self.rng.choice(["and", "or"]), self.any(), ")")

    def opposite(self):
        return self.join("!", "(", self.any(), ")")

    def any(self):
        self.depth += 1
        makers = [self.number, self.number, self.string, self.instance, self.bound, self.truth,
                  self.truth, lambda: self.rng.choice(["nil", "true", "false", "clock"]),
                  lambda: self.name("function"), lambda: self.name("class")]
        text = self.rng.choice(makers[:4] if self.depth > 5 else makers)()
        self.depth -= 1
        return text

    # statements

    def block(self, most=3, names=()):
        self.depth += 1
        self.scopes.append(set(names))
        body = [self.statement() for _ in range(self.rng.randint(0, most))]
        self.scopes.pop()
        self.depth -= 1
        return self.join("{", *body, "}")

    def statement(self):
        if self.depth > 4:
            return self.print()
        return self.pick(self.print, self.print, self.print, self.plain, self.plain, self.var,
                         self.var, self.var, self.fun, self.fun, self.class_, self.class_,
                         self.if_, self.while_, self.for_, self.block, self.return_, self.capture)

    def print(self):
        return self.join("print", self.any(), ";")

    def plain(self):
        return self.join(self.pick(self.set_number, self.set_field, self.number,
                                   self.call_of_a_bound), ";")

    def call_of_a_bound(self):
        if self.in_function:
            return self.number()
        return self.join(self.bound(), "(", self.number(), ")")

    def var(self):
        sort = self.rng.choice(["number", "number", "string", "instance"])
        maker = {"number": self.number, "string": self.string, "instance": self.new}[sort]
        if sort == "instance" and self.in_function:
            maker = self.instance
        value = maker()
        name = self.fresh(sort)
        if name is None or (self.scopes and not self.slips() and name in value):
            return self.print()
        return self.join("var", name, "=", value, ";")

    def body(self):
        kept, self.in_function = self.in_function, True
        parameter = self.rng.choice(NAMES["number"])
        start = self.join("if", "(", parameter, ">", "3", ")", "return", parameter, ";")
        text = self.block(4, [parameter])
        self.in_function = kept
        return self.join("(", parameter, ")", "{", start, text, "return", parameter, ";", "}")

    def fun(self):
        name, kept = self.fresh("function"), (self.in_class, self.has_super)
        if name is None:
            return self.print()
        if not self.in_function:
            self.in_class = self.has_super = False
        text = self.join("fun", name, self.body())
        self.in_class, self.has_super = kept
        return text

    def capture(self):
        """Closures of one variable, which go on after it is gone."""
        if self.in_function:
            return self.print()
        v = self.counter()
        return self.join("{", f"var {v} = 0;", f"fun up(a) {{ {v} = {v} + a; return {v}; }}",
                         f"fun get(a) {{ return {v}; }}",
                         self.rng.choice(["f", "g"]), "=", "up", ";",
                         self.instance(), ".", self.rng.choice(FIELDS + METHODS), "=",
                         self.rng.choice(["up", "get"]), ";",
                         "print", "up", "(", self.number(), ")", ";", "}")

    def methods(self):
        yield self.join("init", "(", "a", ")", "{", *(f"this.{field} = a;" for field in
                        self.rng.sample(FIELDS, 3)), self.block(2), "}")
        yield self.join("m", self.body())
        if self.rng.random() < 0.8:
            yield self.join("n", "(", "a", ")", "{", "this.x = a;", "return", "this", ";", "}")

    def class_(self):
        name, kept = self.fresh("class"), (self.in_class, self.has_super)
        if name is None:
            return self.print()
        has_super = self.rng.random() < 0.6
        under = [other for other in NAMES["class"] if other != name]
        heir = self.join("<", self.name("number") if self.slips() else self.rng.choice(under))
        methods = []
        self.in_class, self.has_super = True, has_super
        self.depth += 1
        for method in self.methods():
            methods += [method] if not has_super or self.rng.random() < 0.5 else []
        self.depth -= 1
        self.in_class, self.has_super = kept
        return self.join("class", name, heir if has_super else "", "{", *methods, "}")

    def if_(self):
        otherwise = self.join("else", self.block()) if self.rng.random() < 0.5 else ""
        return self.join("if", "(", self.truth(), ")", self.block(), otherwise)

    def counter(self):
        self.loops += 1
        return f"i{self.loops}"

    def while_(self):
        i = self.counter()
        return self.join("{", f"var {i} = 0;",
                         f"while ({i} < {self.rng.randint(1, 4)}) {{ {i} = {i} + 1;",
                         self.block(2), "}", "}")

    def for_(self):
        i = self.counter()
        return self.join(f"for (var {i} = 0;", f"{i} < {self.rng.randint(1, 4)};",
                         f"{i} = {i} + 1)",
                         self.block(2))

    def return_(self):
        return self.join("return", self.number(), ";") if self.in_function else self.print()

    def program(self):
        start = """class A { init(a) { this.x = a; this.y = 1; this.z = 2; }
m(a) { return a + this.x; }
n(a) { this.y = a; return this; } }
class B < A { m(a) { return super.m(a) * 2; } }
class C < B {}
var a = 1; var b = 2; var c = 3; var s = "s"; var t = "t"; var o = A(1); var p = C(2);
fun f(a) { return a + 1; } fun g(b) { return b; }
"""
        return start + "\n".join(self.statement() for _ in range(self.rng.randint(1, 25)))


def changed(rng, text):
    """A few tokens taken away, doubled, replaced, or the rest cut off."""
    tokens = [t[1] for t in take_tokens(text)]
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(tokens) + 1)
        tokens[at:at + rng.choice([0, 1, 1, 1, 3])] = rng.choices(SOUP, k=rng.choice([0, 1, 1, 2]))
    return "".join(token + rng.choice([" "] * 9 + ["\n"]) for token in tokens)


def take_tokens(text):
    for token in model.scan(text):
        if token[0] == "end":
            return
        yield token


def make(seed):
    rng = random.Random(seed)
    sort = rng.random()
    if sort < 0.7:
        return Writer(rng).program()
    if sort < 0.9:
        return changed(rng, Writer(rng).program())
    return " ".join(rng.choices(SOUP, k=rng.randint(1, 40)))


def lox(command, text):
    with tempfile.NamedTemporaryFile("w", suffix=".lox", newline="") as file:
        file.write(text)
        file.flush()
        result = subprocess.run([*command, file.name], stdin=subprocess.DEVNULL, check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # whose sign a NaN has is the processor's business
    return (result.stdout.decode("utf-8", "replace").replace("-nan", "nan"),
            result.stderr.decode("utf-8", "replace"), result.returncode)


def joined(lines):
    return "".join(line + "\n" for line in lines)


def compare(command, seed):
    """None where both agree; the status, or what differs."""
    text = make(seed)
    try:
        out, errors, status = model.run(text)
    except model.TooLong:
        return "skipped", None
    want = joined(out).replace("-nan", "nan"), joined(errors), status
    got = lox(command, text)
    return ("same" if got == want else "different"), (text, want, got)


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("lox")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=400)
    options, rest = parser.parse_known_args()
    if not pathlib.Path(options.lox).exists():
        sys.exit(77)
    counts, ends = {"same": 0, "different": 0, "skipped": 0}, {}
    for seed in range(options.seed, options.seed + options.count):
        verdict, details = compare([options.lox, *rest], seed)
        counts[verdict] += 1
        if details is not None:
            ends[details[1][2]] = ends.get(details[1][2], 0) + 1
        if verdict == "different":
            print(f"# seed {seed}\n# " + "\n# ".join(details[0].split("\n")))
            print(f"# the model: {details[1]}\n# lox:       {details[2]}", flush=True)
    print(f"# {counts}, by status {dict(sorted(ends.items()))}")
    good = counts["different"] == 0 and all(ends.get(status) for status in (0, 65, 70))
    print(f"1..1\n{'ok' if good else 'not ok'} 1 lox does as the model does")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
