#!/usr/bin/env python3
"""packaging/deb.sh twice, in folders of different names: the same packages, byte by byte; TAP.

usage: debs.py ROOT"""
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tempfile

PACKAGES = {"fief", "fief-doc", "libfief-dev", "libfief0"}
# What says when and where a package was built is not in these.
KINDS = ("*.deb", "*.dsc", "*.tar.xz")
CONTENT = {"fief": ["/usr/bin/fief", "/libfief-record.so", "/man1/fief.1.gz", "/man5/fief_trace.5.gz",
                    "/completions/fief", "/vendor-completions/_fief"],
           "libfief-dev": ["/fief/fief.h", "/libfief.a", "/fief.pc", "/man3/fief_new.3.gz",
                           "/man7/fief_misuse.7.gz"],
           "libfief0": ["/libfief.so.0"]}


def missing():
    for tool in ("git", "dpkg-buildpackage", "dh", "scdoc"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    return None


def built(root, folder):
    """{file: digest}, or what was said instead."""
    done = subprocess.run([root / "packaging/deb.sh", folder], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None, done.stdout + done.stderr
    files = [file for kind in KINDS for file in folder.glob(kind)]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}, ""


def lacking(folder):
    for package, names in CONTENT.items():
        file = next(folder.glob(f"{package}_*.deb"))
        listed = subprocess.run(["dpkg-deb", "-c", file], capture_output=True, text=True, check=True).stdout
        for name in names:
            if name not in listed:
                yield f"{package} has no {name}"


def main():
    root = pathlib.Path(sys.argv[1])
    print("TAP version 13\n1..3")
    why = missing()
    if why is None and not (root / ".git").exists():
        why = "no git repository: the sources of a package are what git knows"
    if why is not None:
        for number in (1, 2, 3):
            print(f"ok {number} # SKIP {why}")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        one, said = built(root, folder / "one")
        whole = one is not None and PACKAGES <= {file.split("_")[0] for file in one}
        print(f"{'ok' if whole else 'not ok'} 1 - the packages build, and lintian has no complaint\n# "
              + said.replace("\n", "\n# "), flush=True)
        lack = list(lacking(folder / "one")) if whole else ["nothing was built"]
        print(f"{'not ok' if lack else 'ok'} 2 - they have what they should {lack or ''}", flush=True)
        again, said = built(root, folder / "another/and-longer") if whole else (None, "")
        differ = sorted(file for file in one or {} if again is None or again.get(file) != one[file])
        same = whole and again is not None and not differ and set(again) == set(one)
        print(f"{'ok' if same else 'not ok'} 3 - two builds give the same bytes {differ or ''}\n# " + said)
    return 0 if same and not lack else 1


if __name__ == "__main__":
    sys.exit(main())
