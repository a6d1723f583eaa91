#!/usr/bin/env python3
"""Files as C strings, for a program that carries them: embed.py OUT.c NAME=FILE...

Each becomes `const char NAME[]`, a line of the file a line of the array.
"""
import sys


def literal(line):
    text = line.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?")
    return '    "' + text.replace("\n", "\\n") + '"'


def main(out, *parts):
    with open(out, "w", encoding="ascii") as to:
        to.write("/* Made by tools/embed.py. */\n")
        for part in parts:
            name, path = part.split("=", 1)
            with open(path, encoding="ascii") as file:
                lines = [literal(line) for line in file]
            to.write(f"extern const char {name}[];\nconst char {name}[] =\n" + "\n".join(lines) + ";\n")


main(*sys.argv[1:])
