#!/usr/bin/env bash
# Makes the static library one object in which only the public names are left, so that the library's
# inner names (arena_alloc, pool_take) are nobody else's business.
#
# usage: one_object.sh PARTS.a OUT.a FOLDER COMPILER...
set -euo pipefail
parts=$1 out=$2 folder=$3
shift 3
mkdir -p "$folder"
# gcc: with -flto the object is made of machine code here, since objcopy cannot read the other.
flags=(-r -nostdlib -o "$folder/fief.o")
case $("$@" --version | head -n 1) in *clang*) ;; *) flags+=(-flinker-output=nolto-rel) ;; esac
"$@" "${flags[@]}" -Wl,--whole-archive "$parts" -Wl,--no-whole-archive
objcopy --localize-hidden "$folder/fief.o"
rm -f "$out"
ar rcsD "$out" "$folder/fief.o"
