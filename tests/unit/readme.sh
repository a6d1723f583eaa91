#!/usr/bin/env bash
# The README's example, cut out as it stands, compiles and runs.
set -eu
source=$1 library=$2 compiler=$3
shift 3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
awk '/^```c$/ { inside = 1; next } /^```/ { inside = 0 } inside' "$source/README.md" >"$folder/example.c"
grep -q fief_open "$folder/example.c"
"$compiler" "$@" -std=c11 -Wall -Wextra -Werror -I"$source/include" "$folder/example.c" \
    -o "$folder/example" "$library" -Wl,-rpath,"$(dirname "$library")"
"$folder/example"
