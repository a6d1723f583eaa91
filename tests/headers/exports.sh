#!/usr/bin/env bash
# Only fief_ symbols leave the library.
set -eu
nm -D --defined-only "$1" | awk '$2 ~ /[TDBRV]/ { print $3 }' >"${TMPDIR:-/tmp}/fief-exports.$$"
trap 'rm -f "${TMPDIR:-/tmp}/fief-exports.$$"' EXIT
grep -q '^fief_open$' "${TMPDIR:-/tmp}/fief-exports.$$"
! grep -v '^fief_' "${TMPDIR:-/tmp}/fief-exports.$$"
