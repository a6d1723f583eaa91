#!/bin/bash
# What ClusterFuzzLite and OSS-Fuzz run in their base builder: each target in $OUT, with its seeds as
# <target>_seed_corpus.zip and its dictionary beside it. No meson there, so the sources are compiled
# as they lie. ASan gets the library that talks to it, MSan the plain one, others the poisoned one.
set -eu
cd "$SRC/fief"
work=${WORK:-$(mktemp -d)}
targets=(arena stack pool heap runtime table oom ops_text lox)
case ${SANITIZER:-address} in
address) guard=asan ;;
memory) guard=none ;;
*) guard=poison ;;
esac

library=(src/base/*.c src/core/*.c src/manager/*.c src/sites/plain.c src/sites/none.c src/os/modules.c)
[[ $guard != poison ]] || library+=(src/guard/poison/*.c)
posix=(src/os/access.c src/os/child.c src/os/fault.c src/os/file.c src/os/numa.c src/os/posix.c
    src/os/print.c)
forms=(fuzz/ops.c fuzz/bytes.c fuzz/text.c fuzz/configs.c fuzz/model.c fuzz/run.c fuzz/do_*.c
    fuzz/emit.c fuzz/target.c fuzz/mutate.c fuzz/lox_mutate.c)
interpreter=()
for source in examples/lox/*.c; do
    [[ $source == */main.c || $source == */repl.c ]] || interpreter+=("$source")
done

compile() { # FOLDER GUARD COMPILER-AND-FLAGS... -- SOURCE...: an archive FOLDER.a
    local folder=$1 guard=$2 source
    local -a command=()
    shift 2
    while [[ $1 != -- ]]; do
        command+=("$1")
        shift
    done
    shift
    mkdir -p "$folder"
    rm -f "$folder.a" "$folder"/*
    for source in "$@"; do
        "${command[@]}" -std=gnu11 -D_GNU_SOURCE -fno-optimize-sibling-calls -Iinclude -Isrc \
            "-Isrc/guard/$guard" -Iexamples/lox -c "$source" -o "$folder/${source//\//-}.o"
    done
    ar rcs "$folder.a" "$folder"/*.o
}

read -ra watched <<<"$CC $CFLAGS"
read -ra linker <<<"$CXX ${CXXFLAGS:-$CFLAGS}"
read -ra engine <<<"$LIB_FUZZING_ENGINE"

link() { # TARGET
    local os=real lox=none
    [[ $1 != oom ]] || os=fake
    [[ $1 != lox ]] || lox=lox
    "${watched[@]}" -std=gnu11 -D_GNU_SOURCE -Iinclude -Isrc "-DFUZZ_TARGET=\"$1\"" \
        -c fuzz/engine.c -o "$work/engine-$1.o"
    "${linker[@]}" "$work/engine-$1.o" "$work/programs-$os.a" "$work/lox-$lox.a" "$work/$os.a" "${engine[@]}" -pthread \
        -o "$OUT/$1"
}

pack_programs() { # FOLDER: the programs of Lox's tests, without the comments on what they print
    local file
    for file in tests/lox/programs/*/*.lox; do
        sed 's,//.*,,' "$file" | head -c 600 >"$1/${file//\//-}"
    done
}

# The reader of images has no part in the language of operations; its OS has its files in memory.
link_image() {
    "${watched[@]}" -std=gnu11 -D_GNU_SOURCE -Iinclude -Isrc "-Isrc/guard/$guard" \
        -DFUZZ_ENGINE -c fuzz/image.c -o "$work/engine-image.o"
    "${linker[@]}" "$work/engine-image.o" "$work/fake.a" "${engine[@]}" -pthread -o "$OUT/image"
}

pack_image() {
    local maker=$work/image-maker
    "$CC" -O1 -std=gnu11 -D_GNU_SOURCE -Iinclude -Isrc -Isrc/guard/none fuzz/image.c \
        "${library[@]}" src/os/fake.c -pthread -o "$maker"
    rm -rf "$work/seeds-image"
    mkdir -p "$work/seeds-image"
    find corpus/image -type f -exec cp {} "$work/seeds-image/" \;
    "$maker" --make "$work/seeds-image/sound"
    (cd "$work/seeds-image" && python3 -m zipfile -c "$OUT/image_seed_corpus.zip" ./*)
    cp fuzz/dict/image.dict "$OUT/image.dict"
}

pack() { # TARGET: seeds as the target reads them
    local seeds=$work/seeds-$1 file
    rm -rf "$seeds"
    mkdir -p "$seeds"
    while read -r file; do
        if [[ $file == *.ops && $1 != ops_text ]]; then
            "$work/driver" --target "$1" --bytes "$file" >"$seeds/$(basename "$file" .ops)"
        else
            cp "$file" "$seeds/"
        fi
    done < <(find "corpus/$1" -type f)
    [[ $1 != lox ]] || pack_programs "$seeds"
    (cd "$seeds" && python3 -m zipfile -c "$OUT/$1_seed_corpus.zip" ./*)
    cp "fuzz/dict/$1.dict" "$OUT/$1.dict"
}

compile "$work/real" "$guard" "${watched[@]}" -- "${library[@]}" "${posix[@]}"
compile "$work/fake" "$guard" "${watched[@]}" -- "${library[@]}" src/os/fake.c
compile "$work/programs-real" "$guard" "${watched[@]}" -- "${forms[@]}" fuzz/faults_none.c
compile "$work/programs-fake" "$guard" "${watched[@]}" -- "${forms[@]}" fuzz/faults_fake.c
compile "$work/lox-lox" "$guard" "${watched[@]}" -- "${interpreter[@]}" fuzz/lox.c
compile "$work/lox-none" "$guard" "${watched[@]}" -- fuzz/lox_none.c
compile "$work/plain" none "$CC" -O1 -- "${library[@]}" "${posix[@]}" "${forms[@]}" \
    fuzz/faults_none.c fuzz/lox_none.c fuzz/driver.c
"$CC" "$work"/plain/*.o -pthread -o "$work/driver"
for target in "${targets[@]}"; do
    link "$target"
    pack "$target"
done
link_image
pack_image
