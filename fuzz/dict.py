#!/usr/bin/env python3
"""Writes fuzz/dict/<target>.dict from the table in fuzz/ops.h: dict.py [FOLDER].

A word of a target is one of its operations with operands of zero, or a size at an edge
(fuzz/bytes.c); for the parser, a word of the text form; for lox, a word of fuzz/lox_mutate.c; for
image, what its header begins with, and numbers. fuzz/check.py looks whether they are current.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TARGETS = {"arena": "A", "stack": "S", "pool": "P", "heap": "H", "runtime": "R", "table": "T",
           "oom": "O"}
EDGES = (512, 513, 4096, 32768, 65520, 65536, 262144, 262145, 1048576)
WORDS = ("b0", "b95", "b96", "a7", "m0", "p3", "k31", "r2", "usual", "pools", "custom", "native",
         "literal", "constant", "dynamic", "temporary", "1048576", "4611686018427387904",
         "18446744073709551615", "#", "\\x0a")


def operations():
    """(name, letters of its targets, how many operands), in the table's order."""
    with open(os.path.join(HERE, "ops.h")) as file:
        table = file.read().split("#define FUZZ_OPERATIONS(OP)")[1].split("typedef")[0]
    for name, used, operands in re.findall(r"OP\((\w+), ([A-Z |]+), \d+, ([A-Z, ]+)\)", table):
        letters = used.replace("ALL", "A|S|P|H|R|O").replace(" ", "").split("|")
        yield name, letters, sum(word.strip() != "NONE" for word in operands.split(","))


def escaped(data):
    return "".join(f"\\x{byte:02x}" for byte in data)


def size(number):
    first, length = (224, 2) if number < 1 << 16 else (240, 3) if number < 1 << 24 else (248, 8)
    return bytes([first]) + number.to_bytes(length, "little")


def program_words(letter):
    for number, (name, letters, operands) in enumerate(operations()):
        if letter in letters:
            yield name, escaped(bytes([number]) + bytes(operands))
    for edge in EDGES + (2**63 - 1,):
        yield f"size_{edge}", escaped(size(edge))


def text_words():
    for name, _, _ in operations():
        yield name, name + " "
    for number, word in enumerate(WORDS):
        yield f"word_{number}", word


def lox_words():
    with open(os.path.join(HERE, "lox_mutate.c")) as file:
        table = file.read().split("words[] = {")[1].split("};")[0]
    for number, word in enumerate(re.findall(r'"((?:[^"\\]|\\.)*)"', table)):
        yield f"word_{number}", word.replace("\\n", "\\x0a")


def image_words():
    """The mark at a file's start; the words of its tables are of eight bytes."""
    with open(os.path.join(HERE, "..", "src", "manager", "image.h")) as file:
        magic = re.search(r'IMAGE_MAGIC +"([^"]*)"', file.read()).group(1)
    yield "magic", magic.replace("\\n", "\\x0a")
    for edge in EDGES + (2**32, 2**63 - 1, 2**64 - 1):
        yield f"word_{edge}", escaped(edge.to_bytes(8, "little"))


def words_of(target):
    if target == "lox":
        return lox_words()
    if target == "image":
        return image_words()
    return text_words() if target == "ops_text" else program_words(TARGETS[target])


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "dict")
    for target in (*TARGETS, "ops_text", "lox", "image"):
        with open(os.path.join(folder, f"{target}.dict"), "w") as file:
            file.write("# Written by fuzz/dict.py.\n")
            file.writelines(f'{name}="{word}"\n' for name, word in words_of(target))


if __name__ == "__main__":
    main()
