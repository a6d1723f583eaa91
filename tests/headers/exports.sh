#!/usr/bin/env bash
# exports.sh LIBRARY SYMBOLS: only fief_ symbols leave the library, and Debian's list has them all.
set -eu
exported=$(nm -D --defined-only "$1" | awk '$2 ~ /[TDBRV]/ { print $3 }' | sort)
listed=$(sed -n 's/^ \(.*\)@Base .*/\1/p' "$2" | sort)
grep -qx fief_open <<<"$exported"
if grep -v '^fief_' <<<"$exported"; then
    echo "these are no names of Fief's"
    exit 1
fi
diff <(cat <<<"$listed") <(cat <<<"$exported") || {
    echo "< is in $2 and not exported, > is exported and not listed"
    exit 1
}
