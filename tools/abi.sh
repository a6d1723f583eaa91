#!/usr/bin/env bash
# Is the library's ABI that of packaging/libfief.abi? abi.sh [--write] LIBRARY ROOT
# The library has debug information. Exit 77: abigail-tools are not installed.
set -euo pipefail
write=no
[[ $1 != --write ]] || { write=yes && shift; }
library=$1 root=$2 baseline=$2/packaging/libfief.abi
for tool in abidw abidiff; do
    command -v "$tool" >/dev/null ||
        { echo "abi: $tool is not installed: apt-get install abigail-tools" >&2 && exit 77; }
done
# What a host sees: neither the types of the sources, nor where things stand in them.
now=$(mktemp --suffix=.abi)
trap 'rm -f "$now"' EXIT
abidw --headers-dir "$root/include" --drop-private-types --exported-interfaces-only --no-show-locs \
    --no-corpus-path --no-comp-dir-path --no-elf-needed "$library" >"$now"
if [[ $write == yes ]]; then
    cp "$now" "$baseline"
    exit
fi
# What was added counts, too: the baseline is to have it.
abidiff "$baseline" "$now" || {
    echo "abi: not as in packaging/libfief.abi; ./dev abi --write takes it as it is"
    exit 1
}
