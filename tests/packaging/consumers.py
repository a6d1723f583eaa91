#!/usr/bin/env python3
"""Builds the library as a packager does, then a host in each way that it may be had; TAP.

usage: consumers.py ROOT COMPILER...

The library is built twice, from two copies of the tree in folders of different names: the
installed files must be the same, byte by byte.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SAYS = "release pool clock 7\n"
COPIED = ("meson.build", "meson_options.txt", "LICENSE", "include", "src", "packaging", "tools",
          "docs", "tests", "examples", "README.md", "CHANGELOG.md")


class Failed(Exception):
    pass


def run(*command, cwd=None, env=None):
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", **(env or {})},
                          check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.stdout


def must(condition, what):
    if not condition:
        raise Failed(what)


class Ways:
    def __init__(self, root, compiler, folder):
        self.root, self.compiler, self.folder = root, compiler, folder
        self.consumer = root / "tests/packaging/consumer"
        self.tree = folder / "installed"

    def install(self, name, tree):
        """A copy of the sources, built in both forms and installed into a tree of its own."""
        copy = self.folder / name
        copy.mkdir(parents=True)
        for part in COPIED:
            source = self.root / part
            if source.is_dir():
                shutil.copytree(source, copy / part, symlinks=True)
            else:
                shutil.copy2(source, copy / part)
        run("meson", "setup", copy / "out", copy, "--prefix=/usr", "--libdir=lib",
            "--buildtype=release", "-Ddefault_library=both", "-Dtests=false", "-Dfuzz=false",
            env={"CC": self.compiler})
        run("meson", "compile", "-C", copy / "out")
        run("meson", "install", "-C", copy / "out", "--no-rebuild", env={"DESTDIR": str(tree)})
        return tree / "usr"

    def files(self, tree):
        return {str(path.relative_to(tree)): os.readlink(path).encode() if path.is_symlink()
                else path.read_bytes() for path in tree.rglob("*")
                if path.is_file() or path.is_symlink()}

    def run_host(self, program, shared):
        lib = self.tree / "usr/lib"
        env = {"LD_LIBRARY_PATH": str(lib)} if shared else {"LD_LIBRARY_PATH": ""}
        out = run(program, env=env)
        must(out == SAYS, f"printed {out!r}, not {SAYS!r}")
        needed = "libfief.so.0" in run("readelf", "-d", program)
        must(needed == shared, f"needs libfief.so.0: {needed}")

    # ---- the tests ----

    def installs_both_libraries(self):
        usr = self.install("one", self.tree)
        names = self.files(usr)
        for name in ("lib/libfief.a", "lib/libfief.so", "lib/libfief.so.0", "lib/pkgconfig/fief.pc",
                     "lib/cmake/fief/fief-config.cmake", "include/fief/fief.h"):
            must(name in names, f"{name} is not installed")
        pages = ["share/man/man1/fief.1", "share/man/man3/fief_new.3", "share/man/man7/fief_misuse.7"]
        if shutil.which("scdoc") is not None:
            must(set(pages) <= set(names), f"no man pages: {pages}")
        must("SONAME" in (dynamic := run("readelf", "-d", usr / "lib/libfief.so"))
             and "[libfief.so.0]" in dynamic, dynamic)
        needs = re.findall(r"NEEDED.*\[(.*)\]", dynamic)
        must(set(needs) <= {"libc.so.6", "ld-linux-x86-64.so.2"}, f"needs {needs}")

    def static_library_has_public_names_only(self):
        out = run("nm", "-g", "--defined-only", self.tree / "usr/lib/libfief.a")
        names = [line.split()[2] for line in out.splitlines() if len(line.split()) == 3]
        must("fief_open" in names, "no fief_open")
        others = [name for name in names if not name.startswith("fief_")]
        must(not others, f"others: {others}")

    def two_builds_give_the_same_bytes(self):
        here = self.files(self.tree / "usr")
        there = self.files(self.install("a-longer-name/below", self.folder / "again"))
        there = {name[len("usr/"):] if name.startswith("usr/") else name: text
                 for name, text in there.items()}
        must(sorted(here) == sorted(there), "other files")
        differ = [name for name in here if here[name] != there[name]]
        must(not differ, f"differ: {differ}")
        shutil.rmtree(self.folder / "a-longer-name")
        shutil.rmtree(self.folder / "again")

    def pkg_config(self, shared):
        env = {"PKG_CONFIG_PATH": str(self.tree / "usr/lib/pkgconfig"),
               "PKG_CONFIG_SYSROOT_DIR": str(self.tree)}
        flags = run("pkg-config", "--cflags", "--libs", *([] if shared else ["--static"]), "fief",
                    env=env).split()
        program = self.folder / f"pkg-config-{shared}"
        form = [] if shared else ["-Wl,-Bstatic"]
        run(self.compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", self.consumer / "main.c",
            *form, *flags, *([] if shared else ["-Wl,-Bdynamic"]), "-o", program)
        self.run_host(program, shared)

    def pkg_config_shared(self):
        self.pkg_config(True)

    def pkg_config_static(self):
        self.pkg_config(False)

    def cmake(self, shared):
        if shutil.which("cmake") is None:
            return "cmake is not installed"
        out = self.folder / f"cmake-{shared}"
        run("cmake", "-S", self.consumer, "-B", out, f"-DCMAKE_PREFIX_PATH={self.tree}/usr",
            f"-DCMAKE_C_COMPILER={self.compiler}", f"-DFIEF_USE_STATIC_LIBS={'OFF' if shared else 'ON'}")
        run("cmake", "--build", out)
        self.run_host(out / "consumer", shared)
        return None

    def cmake_shared(self):
        return self.cmake(True)

    def cmake_static(self):
        return self.cmake(False)

    def cmake_refuses_another_version(self):
        if shutil.which("cmake") is None:
            return "cmake is not installed"
        copy = self.folder / "cmake-version"
        shutil.copytree(self.consumer, copy)
        lists = copy / "CMakeLists.txt"
        lists.write_text(lists.read_text().replace("fief 0.1 REQUIRED", "fief 0.0 REQUIRED"))
        try:
            run("cmake", "-S", copy, "-B", copy / "out", f"-DCMAKE_PREFIX_PATH={self.tree}/usr",
                f"-DCMAKE_C_COMPILER={self.compiler}")
        except Failed as failure:
            must("requested version" in str(failure), str(failure))
            return None
        raise Failed("0.1 served who asked for 0.0")

    def meson_subproject(self):
        host = self.folder / "host"
        shutil.copytree(self.consumer, host)
        (host / "subprojects").mkdir()
        shutil.move(self.folder / "one", host / "subprojects/fief")
        shutil.rmtree(host / "subprojects/fief/out")
        run("meson", "setup", host / "out", host, "--wrap-mode=forcefallback",
            "-Ddefault_library=static", env={"CC": self.compiler})
        run("meson", "compile", "-C", host / "out")
        self.run_host(host / "out/consumer", False)


def main():
    root, compiler = pathlib.Path(sys.argv[1]), sys.argv[2]
    names = ["installs_both_libraries", "static_library_has_public_names_only",
             "two_builds_give_the_same_bytes", "pkg_config_shared", "pkg_config_static",
             "cmake_shared", "cmake_static", "cmake_refuses_another_version", "meson_subproject"]
    print(f"TAP version 13\n1..{len(names)}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        ways = Ways(root, compiler, pathlib.Path(folder))
        for number, name in enumerate(names, 1):
            try:
                skipped = getattr(ways, name)()
                print(f"ok {number} {name}" + (f" # SKIP {skipped}" if skipped else ""), flush=True)
            except (Failed, OSError) as failure:
                failed += 1
                print(f"not ok {number} {name}\n# " + str(failure).replace("\n", "\n# "), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
