"""TAP, as meson reads it: report() what must hold, skip() what can't be looked at, end() in the end."""

count = failed = 0


def report(sound, name, detail=""):
    global count, failed
    count += 1
    failed += not sound
    print(f"{'ok' if sound else 'not ok'} {count} - {name}", flush=True)
    for line in [] if sound else str(detail).strip().splitlines()[-20:]:
        print(f"# {line[:300]}")


def skip(name, why):
    global count
    count += 1
    print(f"ok {count} - {name} # SKIP {why}", flush=True)


def end():
    """The plan; the exit status."""
    print(f"1..{count}")
    return 1 if failed else 0
