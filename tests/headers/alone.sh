#!/usr/bin/env bash
# Each public header compiles alone, as C11 and as C++17, without a warning.
set -u
cd "$1/include" || exit 1
status=0
for header in fief/*.h fief/adapt/*.h; do
    gcc -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -I. -include "$header" \
        -x c -fsyntax-only /dev/null || { echo "C11: $header"; status=1; }
    g++ -std=c++17 -Wall -Wextra -Wshadow -Werror -I. -include "$header" \
        -x c++ -fsyntax-only /dev/null || { echo "C++17: $header"; status=1; }
done
exit $status
