"""What the demo prints with: 79 columns, colour only where it is wanted, pauses on a terminal."""
import os
import shutil
import sys
import textwrap
import time

WIDTH = 79
INDENT = " " * 6
BOLD, DIM, CYAN = "1", "2", "36"


class Quit(Exception):
    """The reader has seen enough of the tour."""


def wants_color():
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("CLICOLOR_FORCE")) or sys.stdout.isatty()


class Screen:
    def __init__(self, is_tour, part_count):
        self.is_tour, self.part_count = is_tour, part_count
        self.is_terminal = sys.stdout.isatty()
        self.is_colored = wants_color()
        self.started = time.monotonic()

    def paint(self, color, text):
        return f"\033[{color}m{text}\033[0m" if self.is_colored else text

    def line(self, text="", color=None):
        """A line, over whatever progress() has left there."""
        clear = "\r\033[K" if self.is_terminal else ""
        print(clear + (self.paint(color, text) if color else text), flush=True)

    def progress(self, text):
        """A line that the next one replaces; nothing where it could not be replaced."""
        if self.is_terminal:
            width = shutil.get_terminal_size().columns - 1
            print("\r\033[K" + (INDENT + text + " ...")[:width], end="", flush=True)

    def heading(self, number, title):
        self.line()
        self.line(f"[{number}/{self.part_count}] {title}", BOLD)

    def explain(self, text):
        """A paragraph of the tour, and time to read it."""
        if not self.is_tour:
            return
        for line in textwrap.wrap(" ".join(text.split()), WIDTH - len(INDENT)):
            self.line(INDENT + line, CYAN)
        if self.is_terminal and sys.stdin.isatty():
            answer = input(self.paint(DIM, INDENT + "Enter goes on, q ends "))
            if answer.strip().lower().startswith("q"):
                raise Quit
        self.line()

    def note(self, text):
        """A remark below a table; a number stays with its percent sign."""
        for line in textwrap.wrap(text.replace(" %", "\0%"), WIDTH - len(INDENT)):
            self.line(INDENT + line.replace("\0", " "))

    def seconds(self):
        return time.monotonic() - self.started
