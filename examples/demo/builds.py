"""Where things are, and what it means that they are not."""
import os
import pathlib

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent
ROOT = EXAMPLES.parent


class Failed(Exception):
    """Something did not do what it should; the demo cannot go on."""


def find(build, name):
    """The executable, wherever meson put it below the build directory."""
    for folder in ("examples", "examples/lox", "examples/demo", "bench"):
        path = os.path.join(build, folder, name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None


def must_find(build, name):
    path = find(build, name)
    if path is None:
        raise Failed(f"no {name} in {build}: build it first (./dev build)")
    return path
