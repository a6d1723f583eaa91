#!/usr/bin/env bash
# The API's pages are made without a warning. Skipped (77) where doxygen is not installed.
set -eu
command -v doxygen >/dev/null || exit 77
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$1"
{ cat docs/Doxyfile && echo "OUTPUT_DIRECTORY = $folder"; } | doxygen -
test -f "$folder/html/runtime_8h.html"
