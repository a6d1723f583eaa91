"""Patches of src/ that are applied to a scratch copy of the tree, one at a time, and taken out."""
import shutil
import subprocess


def named_files(patch, scratch):
    """The files that a patch changes, in the scratch copy."""
    return [scratch / line.split(" ", 1)[1][2:].split("\t")[0].strip()
            for line in patch.read_text(encoding="utf-8").splitlines() if line.startswith("+++ ")]


def applied(patch, scratch):
    """Applies it; returns the changed files. None: it does not apply, and files may differ."""
    command = ["patch", "-p1", "--batch", "--no-backup-if-mismatch", "-i", patch]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    return named_files(patch, scratch) if done.returncode == 0 else None


def restored(changed, scratch, source):
    """As in the source again, and newer than what was built of the patched ones."""
    for file in changed:
        shutil.copyfile(source / file.relative_to(scratch), file)


def sentence(patch):
    return patch.read_text(encoding="utf-8").split("\n", 1)[0]
