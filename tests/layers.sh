#!/usr/bin/env bash
# A file includes only what is below it; only os/ includes system headers.
set -u
cd "$1" || exit 1
status=0
must_not() { # PATTERN FOLDER...
    local pattern=$1
    shift
    if grep -nE "$pattern" -r "$@"; then
        status=1
    fi
}
must_not '#include "(os|guard|core|manager)/' src/base
must_not '#include "(guard|core|manager)/' src/os
must_not '#include "(core|manager)/' src/guard
must_not '#include "manager/' src/core
must_not '#include "(guard|core|manager)/' src/sites
must_not '#include "sites/' src/base src/os src/guard src/core
must_not '#include <(sys/|unistd|pthread|fcntl|signal)' src/base src/core src/manager include
must_not '#include <(sanitizer|valgrind)/' src/base src/core src/manager src/os include
must_not '^#if(def|ndef)? .*(GUARD|NDEBUG|SANITIZE)' src/core src/manager src/base
# A build's differences are os/'s, guard/'s and base.h's, a processor's xxh3.c's: elsewhere an #ifndef only guards a header.
must_not '^#(if|elif|ifdef) |^#ifndef .*[^H]$' --exclude-dir=os --exclude-dir=guard --exclude=xxh3.c \
    --exclude=base.h src include
# The tools stand above the library and see its headers; of src/ they share the trace's encoder and
# the symbols. The recorder is loaded into strangers and has nothing else. The reader serves others.
must_not '#include "(os|guard|core|manager)/' tools
must_not '#include ("(sites|trace)|"(pack|trace)\.h|<fief/)' tools/record
must_not '#include ("(sites|record|fief)/|"(tool|tally|convert|symbols)\.h|<fief/)' tools/trace
must_not '#include ("record/|<(sanitizer|valgrind)/)' tools
# An optional library is all that a tool's build may differ in.
must_not '^#(if|elif) |^#ifdef ([^H]|H[^A])|^#ifndef .*[^H]$' --include='*.[ch]' tools
# 100 columns, counted in characters.
LC_ALL=C.UTF-8 must_not '^.{101,}' --include='*.[ch]' src include tests bench examples fuzz tools
exit $status
