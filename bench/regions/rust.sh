#!/bin/sh
# rust.sh RUSTC BUMPALO-FOLDER SOURCE OUTPUT: bumpalo, then what uses it, both optimised.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$1" --crate-name bumpalo --crate-type rlib --edition 2021 -C opt-level=3 --cap-lints allow \
    -o "$folder/libbumpalo.rlib" "$2/src/lib.rs"
"$1" --crate-name region --crate-type cdylib --edition 2021 -C opt-level=3 -C panic=abort \
    --cap-lints allow --extern "bumpalo=$folder/libbumpalo.rlib" -o "$4" "$3"
