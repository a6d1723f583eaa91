#!/usr/bin/env python3
"""Completion of `fief` and `./dev`, in bash and zsh, as TAP: what is offered behind some words.

usage: completion.py [--fief PROGRAM] ROOT"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# What is behind the last word given, in bash: compgen as the shell itself would call the function.
BASH = """source "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); "$FUNCTION"; printf '%s\\n' "${COMPREPLY[@]}"
"""
# In zsh the builtins that talk to the line editor stand aside for ones that print.
ZSH = """compadd() { shift; print -l -- "$@" }
_files() { print FILES }
_command_names() { print COMMANDS }
file=$1; shift
words=("$@") CURRENT=$#
source $file
"""


def run(command, folder, **environment):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False,
                          timeout=100, env=dict(os.environ, **environment))
    return done.stdout.split(), done.stderr


class Tests:
    def __init__(self, given, folder):
        self.given, self.folder, self.count, self.failed = given, folder, 0, 0
        self.scripts = given.root / "tools/completion"

    def report(self, sound, name, detail=""):
        self.count += 1
        self.failed += not sound
        print(f"{'ok' if sound else 'not ok'} {self.count} - {name}", flush=True)
        if not sound:
            print("# " + str(detail).replace("\n", "\n# "))

    def bash(self, script, function, *words):
        return run(["bash", "-c", BASH, "bash", self.scripts / script, *words],
                   self.folder, FUNCTION=function)

    def zsh(self, script, *words):
        return run(["zsh", "-f", "-c", ZSH, "zsh", self.scripts / script, *words], self.folder)

    def offers(self, shell, words, wanted, absent=()):
        found, said = shell(*words)
        sound = set(wanted) <= set(found) and not set(absent) & set(found) and not said
        self.report(sound, " ".join(words[1:]) + "|", f"offers {found[:30]}\n{said}")

    def fief(self, shell, commands, files):
        program = str(self.given.fief)
        _, usage = subprocess.run([program, "--help"], capture_output=True, text=True,
                                  check=True).stdout.split("\n", 1)
        names = re.findall(r"^  (\w+)  ", usage, re.M)
        (self.folder / "a.trace").touch()
        self.offers(shell, [program, ""], names, ["--json", "exit"])
        self.offers(shell, [program, "--"], ["--json", "--color", "--version"], names)
        self.offers(shell, [program, "--color", ""], ["always", "never", "auto"], names)
        self.offers(shell, [program, "--json", "record", "-"], ["-o", "--depth", "--raw"], ["--to"])
        self.offers(shell, [program, "record", "-o", "a"], [files], ["--raw"])
        self.offers(shell, [program, "record", "-o", "x", "tr"], commands, ["--raw"])
        self.offers(shell, [program, "record", "cat", "a"], [files], names)
        self.offers(shell, [program, "record", "--depth", ""], [], ["--raw", *names])
        self.offers(shell, [program, "replay", "a.trace", "--allocator", ""],
                    ["fief", "libc", "all"])
        self.offers(shell, [program, "convert", "a.trace", "--to", ""],
                    ["massif", "folded", "pprof", "ops"], ["for"])
        self.offers(shell, [program, "show", "a"], [files])
        self.offers(shell, [program, "explain", "double"], ["double-free"])

    def of_script(self, *words):
        """What a function of fief.bash prints."""
        return run(["bash", "-c", 'source "$1"; shift; "$@"', "bash", self.scripts / "fief.bash",
                    *words], self.folder)[0]

    def each_value_is_taken(self):
        program, trace = str(self.given.fief), self.given.root / "tests/trace/words.trace"
        for option, command, more in (("--allocator", "replay", ["--rounds", "1"]),
                                      ("--value", "convert", ["--to", "folded"]),
                                      ("--to", "convert", ["-o", "/dev/null"]),
                                      ("--color", "show", [])):
            values = self.of_script("_fief_values", program, command, option)
            # 4: an allocator that is not installed.
            bad = [value for value in values if subprocess.run(
                [program, command, trace, option, value, *more], capture_output=True,
                check=False).returncode not in (0, 4)]
            self.report(values and not bad, f"{option}: each value is taken",
                        f"{values}: not {bad}")

    def each_option_is_known(self):
        program = str(self.given.fief)
        usages = [run([program, command, "--help"], self.folder)[0]
                  for command in self.of_script("_fief_commands", program)]
        takes = {option for words in usages for option, value in zip(words, words[1:])
                 if re.fullmatch(r"\[?--?[a-z]+", option) and re.match("[A-Z]", value)}
        takes = {option.lstrip("[") for option in takes}
        unknown = [option for option in takes
                   if not self.of_script("_fief_values", program, "convert", option)]
        self.report({"-o", "--to", "--depth", "--rounds"} <= takes and not unknown,
                    "what stands behind each option is known", f"{takes}: not {unknown}")

    def dev(self, shell, files):
        program = str(self.given.root / "dev")
        self.offers(shell, [program, ""], ["build", "test", "bench", "fuzz"], ["release"])
        self.offers(shell, [program, "b"], ["build", "bench"], ["test"])
        self.offers(shell, [program, "build", ""], ["release", "fuzz-asan"], ["core"])
        self.offers(shell, [program, "test", "debug-"], ["debug-clang"], ["release"])
        self.offers(shell, [program, "bench", ""], ["core", "record", "--json"], ["debug"])
        self.offers(shell, [program, "fuzz", ""], ["arena", "lox", "--seconds"], ["core"])
        self.offers(shell, [program, "replay", "--mode", ""], ["debug", "asan"], ["--mode"])
        self.offers(shell, [program, "replay", "a"], [files])
        commands, _ = shell(program, "")
        listed = re.findall(r"^  ([a-z]+) ", subprocess.run([program, "help"], capture_output=True,
                            text=True, check=True).stdout, re.M)
        self.report(set(listed) == set(commands), "./dev help lists each command",
                    f"{set(listed) ^ set(commands)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fief", type=pathlib.Path)
    parser.add_argument("root", type=pathlib.Path)
    given = parser.parse_args()
    given.root = given.root.resolve()
    given.fief = given.fief and given.fief.resolve()
    print("TAP version 13")
    with tempfile.TemporaryDirectory() as folder:
        tests = Tests(given, pathlib.Path(folder))
        (tests.folder / "a.trace").touch()
        has_zsh = shutil.which("zsh") is not None
        tests.dev(lambda *words: tests.bash("dev.bash", "_fief_dev", *words), "a.trace")
        if has_zsh:
            tests.dev(lambda *words: tests.zsh("_dev", *words), "FILES")
        if given.fief is not None:
            tests.fief(lambda *words: tests.bash("fief.bash", "_fief", *words), ["true", "tr"],
                       "a.trace")
            tests.each_value_is_taken()
            tests.each_option_is_known()
            if has_zsh:
                tests.fief(lambda *words: tests.zsh("_fief", *words), ["COMMANDS"], "FILES")
        if not has_zsh:
            tests.report(True, "zsh # SKIP zsh is not installed")
    print(f"1..{tests.count}")
    return 1 if tests.failed else 0


if __name__ == "__main__":
    sys.exit(main())
