"""A second, naive Lox: what the book's single-pass compiler and stack machine do, in plain Python.

    text -> tokens -> [(opcode, operand, line)] for each function -> (stdout, stderr, status)

It is written to be compared with, so it takes the shortest way everywhere and shares nothing with
examples/lox. No limits of bytes or constants: see tests/lox/programs/limits for those.
"""
import math

FRAMES = 64
KEYWORDS = ("and class else false for fun if nil or print return super this true var while").split()
STARTS = ("class", "fun", "var", "for", "if", "while", "print", "return")
LEVELS = {"or": 2, "and": 3, "!=": 4, "==": 4, "<": 5, ">": 5, "<=": 5, ">=": 5, "+": 6, "-": 6,
          "*": 7, "/": 7, "(": 9, ".": 9}
ASSIGNMENT, UNARY = 1, 8
TWO_STEPS = {"!=": ["==", "not"], ">=": ["<", "not"], "<=": [">", "not"]}


class TooLong(Exception):
    """The program goes on for longer than anybody wants to wait."""


class Error(Exception):
    """A runtime error; its text."""


# --- tokens: (type, text, line); the type of a keyword or a sign is its text ------------------

def is_letter(c):
    return c.isascii() and (c.isalpha() or c == "_")


def is_digit(c):
    return c.isascii() and c.isdigit()


def scan(text):
    at, line = 0, 1
    while at < len(text):
        start, c = at, text[at]
        at += 1
        if c in " \t\r\n":
            line += c == "\n"
        elif text.startswith("//", start):
            while at < len(text) and text[at] != "\n":
                at += 1
        elif is_letter(c):
            while at < len(text) and (is_letter(text[at]) or is_digit(text[at])):
                at += 1
            word = text[start:at]
            yield (word if word in KEYWORDS else "name", word, line)
        elif is_digit(c):
            while at < len(text) and is_digit(text[at]):
                at += 1
            if text[at:at + 1] == "." and at + 1 < len(text) and is_digit(text[at + 1]):
                at += 1
                while at < len(text) and is_digit(text[at]):
                    at += 1
            yield ("number", text[start:at], line)
        elif c == '"':
            end = text.find('"', at)
            line += text.count("\n", at, end if end >= 0 else len(text))
            if end < 0:
                at = len(text)
                yield ("error", "Unterminated string.", line)
            else:
                at = end + 1
                yield ("string", text[start:at], line)
        elif c in "(){};,.-+/*":
            yield (c, c, line)
        elif c in "!=<>":
            sign = c + "=" if text[at:at + 1] == "=" else c
            at = start + len(sign)
            yield (sign, sign, line)
        else:
            yield ("error", "Unexpected character.", line)
    while True:
        yield ("end", "", line)


# --- the compiler -----------------------------------------------------------------------------

class Function:
    def __init__(self, kind, name, outer):
        self.kind, self.name, self.outer = kind, name, outer
        self.arity, self.depth, self.code, self.captures = 0, 0, [], []
        receiver = "this" if kind in ("method", "init") else ""
        self.locals = [[receiver, 0, False]]  # name, depth (None: no value yet), captured


class Compiler:
    def __init__(self, text):
        self.tokens = scan(text)
        self.current = self.previous = ("start", "", 1)
        self.errors, self.panic = [], False
        self.function = Function("script", None, None)
        self.classes = []  # has it a superclass?

    def compile(self):
        self.advance()
        while not self.match("end"):
            self.declaration()
        self.emit("nil")
        self.emit("return")
        return self.function

    def error_at(self, token, message):
        if not self.panic:
            where = {"end": " at end", "error": ""}.get(token[0], f" at '{token[1]}'")
            self.errors.append(f"[line {token[2]}] Error{where}: {message}")
        self.panic = True

    def error(self, message):
        self.error_at(self.previous, message)

    def advance(self):
        self.previous = self.current
        while True:
            self.current = next(self.tokens)
            if self.current[0] != "error":
                return
            self.error_at(self.current, self.current[1])

    def check(self, kind):
        return self.current[0] == kind

    def match(self, kind):
        found = self.check(kind)
        if found:
            self.advance()
        return found

    def consume(self, kind, message):
        if not self.match(kind):
            self.error_at(self.current, message)

    def emit(self, op, operand=None):
        self.function.code.append([op, operand, self.previous[2]])
        return len(self.function.code) - 1

    def land(self, jump):
        self.function.code[jump][1] = len(self.function.code)

    # names

    def add_local(self, name):
        if len(self.function.locals) == 256:
            self.error("Too many local variables in function.")
            return
        self.function.locals.append([name, None, False])

    def declare(self):
        if self.function.depth == 0:
            return
        for name, depth, _ in reversed(self.function.locals):
            if depth is not None and depth < self.function.depth:
                break
            if name == self.previous[1]:
                self.error("Already a variable with this name in this scope.")
        self.add_local(self.previous[1])

    def initialized(self):
        if self.function.depth > 0:
            self.function.locals[-1][1] = self.function.depth

    def define(self, name):
        if self.function.depth == 0:
            self.emit("define", name)
        self.initialized()

    def local(self, function, name):
        for slot in reversed(range(len(function.locals))):
            if function.locals[slot][0] == name:
                if function.locals[slot][1] is None:
                    self.error("Can't read local variable in its own initializer.")
                return slot
        return None

    def capture(self, function, name):
        if function.outer is None:
            return None
        slot = self.local(function.outer, name)
        if slot is not None:
            function.outer.locals[slot][2] = True
            entry = (True, slot)
        else:
            index = self.capture(function.outer, name)
            if index is None:
                return None
            entry = (False, index)
        if entry not in function.captures:
            if len(function.captures) == 256:
                self.error("Too many closure variables in function.")
                return 0
            function.captures.append(entry)
        return function.captures.index(entry)

    def resolve(self, name):
        slot = self.local(self.function, name)
        if slot is not None:
            return "local", slot
        index = self.capture(self.function, name)
        return ("upvalue", index) if index is not None else ("global", name)

    def variable(self, name, can_assign):
        place, where = self.resolve(name)
        if can_assign and self.match("="):
            self.expression()
            self.emit("set " + place, where)
        else:
            self.emit("get " + place, where)

    def scope_end(self):
        self.function.depth -= 1
        slots = self.function.locals
        while slots and slots[-1][1] is not None and slots[-1][1] > self.function.depth:
            self.emit("close" if slots.pop()[2] else "pop")

    # expressions

    def expression(self):
        self.within(ASSIGNMENT)

    def within(self, level):
        self.advance()
        can_assign = level <= ASSIGNMENT
        if not self.prefix(can_assign):
            self.error("Expect expression.")
            return
        while level <= LEVELS.get(self.current[0], 0):
            self.advance()
            self.infix(self.previous[0], can_assign)
        if can_assign and self.match("="):
            self.error("Invalid assignment target.")

    def prefix(self, can_assign):
        kind, text, _ = self.previous
        if kind == "(":
            self.expression()
            self.consume(")", "Expect ')' after expression.")
        elif kind in ("-", "!"):
            self.within(UNARY)
            self.emit("negate" if kind == "-" else "not")
        elif kind == "name":
            self.variable(text, can_assign)
        elif kind == "string":
            self.emit("constant", text[1:-1])
        elif kind == "number":
            self.emit("constant", float(text))
        elif kind in ("nil", "true", "false"):
            self.emit("constant", {"nil": None, "true": True, "false": False}[kind])
        elif kind == "this":
            if self.classes:
                self.variable("this", False)
            else:
                self.error("Can't use 'this' outside of a class.")
        elif kind == "super":
            self.super()
        else:
            return False
        return True

    def infix(self, kind, can_assign):
        if kind == "(":
            self.emit("call", self.arguments())
        elif kind == ".":
            self.dot(can_assign)
        elif kind in ("and", "or"):
            jump = self.emit(kind)
            self.within(LEVELS[kind])
            self.land(jump)
        else:
            self.within(LEVELS[kind] + 1)
            for op in TWO_STEPS.get(kind, [kind]):
                self.emit(op)

    def arguments(self):
        count = 0
        if not self.check(")"):
            while True:
                self.expression()
                if count == 255:
                    self.error("Can't have more than 255 arguments.")
                count += 1
                if not self.match(","):
                    break
        self.consume(")", "Expect ')' after arguments.")
        return count

    def dot(self, can_assign):
        self.consume("name", "Expect property name after '.'.")
        name = self.previous[1]
        if can_assign and self.match("="):
            self.expression()
            self.emit("set property", name)
        elif self.match("("):
            self.emit("invoke", (name, self.arguments()))
        else:
            self.emit("get property", name)

    def super(self):
        if not self.classes:
            self.error("Can't use 'super' outside of a class.")
        elif not self.classes[-1]:
            self.error("Can't use 'super' in a class with no superclass.")
        self.consume(".", "Expect '.' after 'super'.")
        self.consume("name", "Expect superclass method name.")
        name = self.previous[1]
        self.variable("this", False)
        if self.match("("):
            count = self.arguments()
            self.variable("super", False)
            self.emit("super invoke", (name, count))
        else:
            self.variable("super", False)
            self.emit("get super", name)

    # declarations

    def declaration(self):
        if self.match("class"):
            self.class_()
        elif self.match("fun"):
            self.consume("name", "Expect function name.")
            name = self.previous[1]
            self.declare()
            self.initialized()
            self.body("function", name)
            self.define(name)
        elif self.match("var"):
            self.var()
        else:
            self.statement()
        if self.panic:
            self.synchronize()

    def synchronize(self):
        self.panic = False
        while not self.check("end"):
            if self.previous[0] == ";" or self.current[0] in STARTS:
                return
            self.advance()

    def var(self):
        self.consume("name", "Expect variable name.")
        name = self.previous[1]
        self.declare()
        if self.match("="):
            self.expression()
        else:
            self.emit("constant", None)
        self.consume(";", "Expect ';' after variable declaration.")
        self.define(name)

    def body(self, kind, name):
        self.function = Function(kind, name, self.function)
        self.function.depth = 1
        self.consume("(", "Expect '(' after function name.")
        if not self.check(")"):
            while True:
                self.function.arity += 1
                if self.function.arity > 255:
                    self.error_at(self.current, "Can't have more than 255 parameters.")
                self.consume("name", "Expect parameter name.")
                self.declare()
                self.initialized()
                if not self.match(","):
                    break
        self.consume(")", "Expect ')' after parameters.")
        self.consume("{", "Expect '{' before function body.")
        self.block()
        self.default_return()
        done, self.function = self.function, self.function.outer
        self.emit("closure", done)

    def default_return(self):
        if self.function.kind == "init":
            self.emit("get local", 0)
        else:
            self.emit("nil")
        self.emit("return")

    def class_(self):
        self.consume("name", "Expect class name.")
        name = self.previous[1]
        self.declare()
        self.emit("class", name)
        self.define(name)
        self.classes.append(False)
        if self.match("<"):
            self.consume("name", "Expect superclass name.")
            self.variable(self.previous[1], False)
            if name == self.previous[1]:
                self.error("A class can't inherit from itself.")
            self.function.depth += 1
            self.add_local("super")
            self.initialized()
            self.variable(name, False)
            self.emit("inherit")
            self.classes[-1] = True
        self.variable(name, False)
        self.consume("{", "Expect '{' before class body.")
        while not self.check("}") and not self.check("end"):
            self.consume("name", "Expect method name.")
            method = self.previous[1]
            self.body("init" if method == "init" else "method", method)
            self.emit("method", method)
        self.consume("}", "Expect '}' after class body.")
        self.emit("pop")
        if self.classes.pop():
            self.scope_end()

    # statements

    def statement(self):
        for kind in ("print", "for", "if", "return", "while", "{"):
            if self.match(kind):
                {"print": self.print, "for": self.for_, "if": self.if_, "return": self.return_,
                 "while": self.while_, "{": self.braces}[kind]()
                return
        self.expression()
        self.consume(";", "Expect ';' after expression.")
        self.emit("pop")

    def braces(self):
        self.function.depth += 1
        self.block()
        self.scope_end()

    def block(self):
        while not self.check("}") and not self.check("end"):
            self.declaration()
        self.consume("}", "Expect '}' after block.")

    def print(self):
        self.expression()
        self.consume(";", "Expect ';' after value.")
        self.emit("print")

    def condition(self, after):
        self.consume("(", f"Expect '(' after '{after}'.")
        self.expression()
        self.consume(")", "Expect ')' after condition.")
        return self.emit("unless")

    def if_(self):
        otherwise = self.condition("if")
        self.statement()
        end = self.emit("jump")
        self.land(otherwise)
        if self.match("else"):
            self.statement()
        self.land(end)

    def while_(self):
        start = len(self.function.code)
        end = self.condition("while")
        self.statement()
        self.emit("jump", start)
        self.land(end)

    def for_(self):
        self.function.depth += 1
        self.consume("(", "Expect '(' after 'for'.")
        if self.match("var"):
            self.var()
        elif not self.match(";"):
            self.expression()
            self.consume(";", "Expect ';' after expression.")
            self.emit("pop")
        start, end = len(self.function.code), None
        if not self.match(";"):
            self.expression()
            self.consume(";", "Expect ';' after loop condition.")
            end = self.emit("unless")
        if not self.match(")"):
            body, step = self.emit("jump"), len(self.function.code)
            self.expression()
            self.emit("pop")
            self.consume(")", "Expect ')' after for clauses.")
            self.emit("jump", start)
            self.land(body)
            start = step
        self.statement()
        self.emit("jump", start)
        if end is not None:
            self.land(end)
        self.scope_end()

    def return_(self):
        if self.function.kind == "script":
            self.error("Can't return from top-level code.")
        if self.match(";"):
            self.default_return()
            return
        if self.function.kind == "init":
            self.error("Can't return a value from an initializer.")
        self.expression()
        self.consume(";", "Expect ';' after return value.")
        self.emit("return")


# --- the machine: numbers are float, strings str; the rest are these --------------------------

class Closure:
    def __init__(self, function, cells):
        self.function, self.cells = function, cells


class Class:
    def __init__(self, name):
        self.name, self.methods = name, {}


class Instance:
    def __init__(self, class_):
        self.of, self.fields = class_, {}


class Bound:
    def __init__(self, receiver, method):
        self.receiver, self.method = receiver, method


class Native:
    """There is only clock."""


class Cell:
    """A variable that closures share: in its slot of the stack until that goes."""
    def __init__(self, slot):
        self.slot, self.value = slot, None


class Frame:
    def __init__(self, closure, base):
        self.closure, self.base, self.at = closure, base, 0


def shown(value):
    if value is None or isinstance(value, bool):
        return {None: "nil", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return "%g" % value
    if isinstance(value, Closure):
        return f"<fn {value.function.name}>"
    if isinstance(value, Bound):
        return shown(value.method)
    if isinstance(value, Native):
        return "<native fn>"
    if isinstance(value, Class):
        return value.name
    return f"{value.of.name} instance" if isinstance(value, Instance) else value


def is_false(value):
    return value is None or value is False


def equal(a, b):
    if type(a) is not type(b):
        return False
    return a == b if isinstance(a, (float, str)) else a is b


def divide(a, b):
    if b != 0:
        return a / b
    return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1, b)


ARITHMETIC = {"-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": divide,
              "<": lambda a, b: a < b, ">": lambda a, b: a > b}


class Machine:
    def __init__(self, steps, frames):
        self.steps, self.most = steps, frames
        self.stack, self.frames, self.open = [], [], {}
        self.globals = {"clock": Native()}
        self.out = []

    def call(self, closure, count):
        if count != closure.function.arity:
            raise Error(f"Expected {closure.function.arity} arguments but got {count}.")
        if len(self.frames) == self.most:
            raise Error("Stack overflow.")
        self.frames.append(Frame(closure, len(self.stack) - count - 1))

    def call_value(self, callee, count):
        receiver = len(self.stack) - count - 1
        if isinstance(callee, Closure):
            self.call(callee, count)
        elif isinstance(callee, Bound):
            self.stack[receiver] = callee.receiver
            self.call(callee.method, count)
        elif isinstance(callee, Native):
            del self.stack[receiver:]
            self.stack.append(0.0)
        elif isinstance(callee, Class):
            self.stack[receiver] = Instance(callee)
            if "init" in callee.methods:
                self.call(callee.methods["init"], count)
            elif count != 0:
                raise Error(f"Expected 0 arguments but got {count}.")
        else:
            raise Error("Can only call functions and classes.")

    def method(self, class_, name):
        if name not in class_.methods:
            raise Error(f"Undefined property '{name}'.")
        return class_.methods[name]

    def close(self, base):
        for slot in [slot for slot in self.open if slot >= base]:
            cell = self.open.pop(slot)
            cell.slot, cell.value = None, self.stack[slot]

    def cell(self, slot):
        return self.open.setdefault(slot, Cell(slot))

    def run(self, script):
        closure = Closure(script, [])
        self.stack.append(closure)
        self.call(closure, 0)
        while self.frames:
            self.steps -= 1
            if self.steps < 0:
                raise TooLong
            frame = self.frames[-1]
            op, operand, _ = frame.closure.function.code[frame.at]
            frame.at += 1
            if op in ARITHMETIC:
                self.arithmetic(op)
            else:
                name = {"+": "add", "==": "equal"}.get(op, op.replace(" ", "_"))
                getattr(self, "do_" + name)(frame, operand)

    def trace(self):
        for frame in reversed(self.frames):
            function = frame.closure.function
            where = f"{function.name}()" if function.name is not None else "script"
            yield f"[line {function.code[frame.at - 1][2]}] in {where}"

    def arithmetic(self, op):
        if not all(isinstance(value, float) for value in self.stack[-2:]):
            raise Error("Operands must be numbers.")
        right, left = self.stack.pop(), self.stack.pop()
        self.stack.append(ARITHMETIC[op](left, right))

    def do_constant(self, _, value):
        self.stack.append(value)

    def do_nil(self, _, __):
        self.stack.append(None)

    def do_pop(self, _, __):
        self.stack.pop()

    def do_print(self, _, __):
        self.out.append(shown(self.stack.pop()))

    def do_add(self, _, __):
        right, left = self.stack[-1], self.stack[-2]
        if not any(isinstance(left, t) and isinstance(right, t) for t in (float, str)):
            raise Error("Operands must be two numbers or two strings.")
        self.stack[-2:] = [left + right]

    def do_equal(self, _, __):
        right, left = self.stack.pop(), self.stack.pop()
        self.stack.append(equal(left, right))

    def do_not(self, _, __):
        self.stack[-1] = is_false(self.stack[-1])

    def do_negate(self, _, __):
        if not isinstance(self.stack[-1], float):
            raise Error("Operand must be a number.")
        self.stack[-1] = -self.stack[-1]

    def do_jump(self, frame, to):
        frame.at = to

    def do_unless(self, frame, to):
        if is_false(self.stack.pop()):
            frame.at = to

    def do_and(self, frame, to):
        if is_false(self.stack[-1]):
            frame.at = to
        else:
            self.stack.pop()

    def do_or(self, frame, to):
        if is_false(self.stack[-1]):
            self.stack.pop()
        else:
            frame.at = to

    def do_define(self, _, name):
        self.globals[name] = self.stack.pop()

    def do_get_global(self, _, name):
        if name not in self.globals:
            raise Error(f"Undefined variable '{name}'.")
        self.stack.append(self.globals[name])

    def do_set_global(self, _, name):
        if name not in self.globals:
            raise Error(f"Undefined variable '{name}'.")
        self.globals[name] = self.stack[-1]

    def do_get_local(self, frame, slot):
        self.stack.append(self.stack[frame.base + slot])

    def do_set_local(self, frame, slot):
        self.stack[frame.base + slot] = self.stack[-1]

    def do_get_upvalue(self, frame, index):
        cell = frame.closure.cells[index]
        self.stack.append(self.stack[cell.slot] if cell.slot is not None else cell.value)

    def do_set_upvalue(self, frame, index):
        cell = frame.closure.cells[index]
        if cell.slot is not None:
            self.stack[cell.slot] = self.stack[-1]
        else:
            cell.value = self.stack[-1]

    def do_close(self, _, __):
        self.close(len(self.stack) - 1)
        self.stack.pop()

    def do_closure(self, frame, function):
        closure = Closure(function, [])
        self.stack.append(closure)
        for is_local, index in function.captures:
            closure.cells.append(self.cell(frame.base + index) if is_local
                                 else frame.closure.cells[index])

    def do_call(self, _, count):
        self.call_value(self.stack[-1 - count], count)

    def do_return(self, frame, _):
        result = self.stack[-1]
        self.close(frame.base)
        self.frames.pop()
        del self.stack[frame.base:]
        if self.frames:
            self.stack.append(result)

    def do_class(self, _, name):
        self.stack.append(Class(name))

    def do_inherit(self, _, __):
        if not isinstance(self.stack[-2], Class):
            raise Error("Superclass must be a class.")
        self.stack[-1].methods.update(self.stack[-2].methods)
        self.stack.pop()

    def do_method(self, _, name):
        method = self.stack.pop()
        self.stack[-1].methods[name] = method

    def do_get_property(self, _, name):
        receiver = self.stack[-1]
        if not isinstance(receiver, Instance):
            raise Error("Only instances have properties.")
        if name in receiver.fields:
            self.stack[-1] = receiver.fields[name]
        else:
            self.stack[-1] = Bound(receiver, self.method(receiver.of, name))

    def do_set_property(self, _, name):
        if not isinstance(self.stack[-2], Instance):
            raise Error("Only instances have fields.")
        self.stack[-2].fields[name] = self.stack[-1]
        del self.stack[-2]

    def do_invoke(self, _, operand):
        name, count = operand
        receiver = self.stack[-1 - count]
        if not isinstance(receiver, Instance):
            raise Error("Only instances have methods.")
        if name in receiver.fields:
            self.stack[-1 - count] = receiver.fields[name]
            self.call_value(receiver.fields[name], count)
        else:
            self.call(self.method(receiver.of, name), count)

    def do_get_super(self, _, name):
        class_ = self.stack.pop()
        self.stack[-1] = Bound(self.stack[-1], self.method(class_, name))

    def do_super_invoke(self, _, operand):
        name, count = operand
        class_ = self.stack.pop()
        self.call(self.method(class_, name), count)


def run(text, steps=20000, frames=FRAMES):
    """(stdout lines, stderr lines, status); raises TooLong."""
    compiler = Compiler(text)
    script = compiler.compile()
    if compiler.errors:
        return [], compiler.errors, 65
    machine = Machine(steps, frames)
    try:
        machine.run(script)
    except Error as error:
        return machine.out, [str(error), *machine.trace()], 70
    return machine.out, [], 0
