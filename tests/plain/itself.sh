#!/bin/sh
# Does the runner notice what goes wrong?  itself.sh PLAIN-BROKEN
expected='TAP version 13
ok 1 - sound
not ok 2 - an_expectation
# fini is called
not ok 3 - an_assertion
not ok 4 - a_signal
# ended by signal 9
not ok 5 - no_end
# ended by signal 14
not ok 6 - no_expectation_and_left_out
ok 7 - left_out # SKIP
ok 8 - its_own_init
1..8
status 1'
found=$("$1" 2>/dev/null; echo "status $?")
[ "$found" = "$expected" ] || { echo "$found"; exit 1; }
"$1" sound left_out >/dev/null 2>&1 || { echo 'two sound tests fail'; exit 1; }
! "$1" no_such_test >/dev/null || { echo 'no test at all is no failure'; exit 1; }
"$1" an_expectation 2>&1 >/dev/null | grep -q 'broken.c:[0-9]*: not so: 1 == 2; 1 is not two$' ||
    { echo 'what failed is not told'; exit 1; }
