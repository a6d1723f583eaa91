#!/bin/sh
# demo.sh RELEASE_BUILD_DIR DEBUG_BUILD_DIR [ROUNDS]
# Parts 2 to 5 of `./dev demo`: measures six Lua programs, shows where the
# bytes went, and three mistakes that the debug-poisoned build catches.
set -eu
if [ $# -lt 2 ] || [ $# -gt 3 ]; then
    echo "usage: demo.sh RELEASE_BUILD_DIR DEBUG_BUILD_DIR [ROUNDS]" >&2
    exit 2
fi
if ! command -v python3 >/dev/null; then
    echo "demo.sh: python3 is needed to take the times" >&2
    exit 4
fi
here=$(cd "$(dirname "$0")" && pwd)
exec python3 -u "$here/demo.py" "$@"
