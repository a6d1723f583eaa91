#!/bin/sh
# The programs that have a name, and what each misuse's report leaves on the way: for whoever
# watches a process from outside, as Valgrind does.
# usage: replay.sh DRIVER CORPUS TARGET...
driver=$1 corpus=$2
shift 2
for target; do
    set -- "$@" "$corpus/$target"/*.*
    shift
done
left=$driver.left
mkdir -p "$left" || exit 1
exec "$driver" --record "$left" "$@"
