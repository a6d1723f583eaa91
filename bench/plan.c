#include "plan.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

const bench core_benches[] = {
    {.name = "arena-24",
     .unit = "ns",
     .about = "allocate 24 B aligned to 8 and store, 10,000 objects, then one reset; an object",
     .forms = {[FORM_FIEF] = arena_24_fief,
               [FORM_IDEAL_STRUCT] = arena_24_struct,
               [FORM_IDEAL_REGISTERS] = arena_24_registers,
               [FORM_MALLOC] = arena_24_malloc}},
    {.name = "arena-mix",
     .unit = "ns",
     .about = "the same with the sizes of a syntax tree, 8 to 256 B; an object",
     .forms = {[FORM_FIEF] = arena_mix_fief,
               [FORM_IDEAL_STRUCT] = arena_mix_struct,
               [FORM_IDEAL_REGISTERS] = arena_mix_registers,
               [FORM_MALLOC] = arena_mix_malloc}},
    {.name = "arena-24-any",
     .unit = "ns",
     .about = "arena-24 with blocks aligned to 16, for any type",
     .forms = {[FORM_FIEF] = arena_24_any_fief,
               [FORM_IDEAL_STRUCT] = arena_24_any_struct,
               [FORM_IDEAL_REGISTERS] = arena_24_any_registers,
               [FORM_MALLOC] = arena_24_any_malloc}},
    {.name = "arena-mix-any",
     .unit = "ns",
     .about = "arena-mix with blocks aligned to 16, for any type",
     .forms = {[FORM_FIEF] = arena_mix_any_fief,
               [FORM_IDEAL_STRUCT] = arena_mix_any_struct,
               [FORM_IDEAL_REGISTERS] = arena_mix_any_registers,
               [FORM_MALLOC] = arena_mix_any_malloc}},
    {.name = "arena-reset-1e6",
     .unit = "us",
     .about = "one reset of a million 24 B objects, capacity kept; libc: a million frees",
     .forms = {[FORM_FIEF] = arena_reset_fief, [FORM_MALLOC] = arena_reset_malloc}},
    {.name = "arena-waste",
     .unit = "B",
     .no_peers = true,
     .no_debug = true,
     .about = "bytes of no use, an object of arena-mix's sizes aligned to 8; a million",
     .forms = {[FORM_FIEF] = arena_waste_fief, [FORM_MALLOC] = arena_waste_malloc}},
    {.name = "mark-rewind",
     .unit = "ns",
     .about = "mark, allocate and store 16, 24, 32, 40 B, rewind; all of it",
     .forms = {[FORM_FIEF] = rewind_fief,
               [FORM_IDEAL] = rewind_struct,
               [FORM_IDEAL_REGISTERS] = rewind_registers,
               [FORM_MALLOC] = rewind_malloc}},
    {.name = "heap-1000",
     .unit = "ns",
     .size = 1000,
     .about = "replace a random one of 1,000 live blocks, the size given at free",
     .forms = {[FORM_FIEF] = heap_fief, [FORM_IDEAL] = heap_ideal, [FORM_MALLOC] = heap_malloc}},
    {.name = "heap-30000",
     .unit = "ns",
     .size = 30000,
     .about = "the same with 30,000 live blocks",
     .forms = {[FORM_FIEF] = heap_fief, [FORM_IDEAL] = heap_ideal, [FORM_MALLOC] = heap_malloc}},
    {.name = "heap-unsized-1000",
     .unit = "ns",
     .size = 1000,
     .about = "fief_malloc and fief_release against malloc and free, 1,000 live blocks",
     .forms = {[FORM_FIEF] = heap_unsized_fief, [FORM_MALLOC] = heap_unsized_malloc}},
    {.name = "heap-unsized-30000",
     .unit = "ns",
     .size = 30000,
     .about = "the same with 30,000 live blocks",
     .forms = {[FORM_FIEF] = heap_unsized_fief, [FORM_MALLOC] = heap_unsized_malloc}},
    {.name = "fief-new-pool",
     .unit = "ns",
     .about = "fief_new of 48 B, zeroed, from a pool's row, against the pool called directly",
     .forms = {[FORM_FIEF] = new_pool_fief, [FORM_DIRECT] = new_pool_direct}},
    {.name = "fief-new-heap",
     .unit = "ns",
     .about = "the same from a heap's row",
     .forms = {[FORM_FIEF] = new_heap_fief, [FORM_DIRECT] = new_heap_direct}},
    {.name = "fief-new-arena",
     .unit = "ns",
     .about = "the same from an arena's row",
     .forms = {[FORM_FIEF] = new_arena_fief, [FORM_DIRECT] = new_arena_direct}},
    {.name = "open-close",
     .unit = "us",
     .about = "fief_open(NULL) and fief_close",
     .forms = {[FORM_FIEF] = open_close_fief}},
    {.name = "open-close-kept",
     .unit = "us",
     .about = "the same in a kept range",
     .forms = {[FORM_FIEF] = open_close_kept_fief}},
    {.name = "unit-end-64k",
     .unit = "us",
     .about = "the end of a unit of 64 KiB, in nodes of 48 B",
     .forms = {[FORM_FIEF] = unit_end_fief}},
    {.name = "dangling-scan",
     .unit = "GB/s",
     .only_debug = true,
     .about = "live bytes that the scan for dangling pointers looks at",
     .forms = {[FORM_FIEF] = scan_fief}},
};
const size_t core_bench_count = COUNT(core_benches);

/* In the order of the rounds: what fief is to be compared with comes next to it, so that a slow
 * second hits both. */
const variant variants[] = {
    {"fief", FORM_FIEF, {NULL}, "libc", false},
    {"direct", FORM_DIRECT, {NULL}, "libc", false},
    {"ideal", FORM_IDEAL, {NULL}, "libc", false},
    {"ideal-struct", FORM_IDEAL_STRUCT, {NULL}, "libc", false},
    {"ideal-registers", FORM_IDEAL_REGISTERS, {NULL}, "libc", false},
    {"libc", FORM_MALLOC, {NULL}, "libc", false},
    {"mimalloc", FORM_MALLOC, {"libmimalloc.so.2", NULL}, "mimalloc", false},
    {"jemalloc", FORM_MALLOC, {"libjemalloc.so.2", NULL}, "jemalloc", false},
    {"tcmalloc",
     FORM_MALLOC,
     {"libtcmalloc_minimal.so.4", "libtcmalloc.so.4", NULL},
     "tcmalloc",
     false},
    {"fief-debug", FORM_FIEF, {NULL}, "libc", true},
};
const size_t variant_count = COUNT(variants);

/* The arena's targets are for blocks aligned as their types ask, on both sides: that is what a
 * syntax tree is made of (fief_temp), and what wastes nothing. The -any benches are for
 * comparison. */
const target targets[] = {
    {"arena-24", "fief", "ideal", AT_MOST, 1.15},
    {"arena-mix", "fief", "ideal", AT_MOST, 1.15},
    {"arena-24", "libc", "fief", AT_LEAST, 5},
    {"arena-mix", "libc", "fief", AT_LEAST, 5},
    {"arena-reset-1e6", "fief", NULL, AT_MOST, 1},
    {"arena-waste", "fief", NULL, AT_MOST, 0.5},
    {"mark-rewind", "fief", "ideal", AT_MOST, 1.3},
    {"heap-unsized-*", "fief", "libc", AT_MOST, 0.5},
    {"heap-*", "fief", "libc", AT_MOST, 0.45},
    {"heap-*", "fief", "mimalloc", BELOW, 1},
    {"heap-*", "fief", "jemalloc", BELOW, 1},
    {"heap-*", "fief", "tcmalloc", BELOW, 1},
    {"fief-new", "fief", NULL, AT_MOST, 1.25},
    {"fief-new-*", "fief", "direct", AT_MOST, 1.25},
    {"open-close", "fief", NULL, AT_MOST, 15},
    {"unit-end-64k", "fief-debug", NULL, AT_MOST, 10},
    {"dangling-scan", "fief-debug", NULL, AT_LEAST, 5},
    {"open-close-kept", "fief", NULL, AT_MOST, 1},
    {"lua-geomean", "fief", NULL, AT_MOST, 0.85},
    {"lua-geomean", "fief-debug", "fief", AT_MOST, 2.5},
    {"lua-*-peak", "fief", "libc", AT_MOST, 1.1},
    {"lua-*", "fief", "libc", NOT_CLEARLY_ABOVE, 1},
};
const size_t target_count = COUNT(targets);

bool takes_part(const variant *v, const bench *b)
{
    bool is_peer = v->preloads[0] != NULL;
    if ((is_peer && b->no_peers) || (v->guarded && b->no_debug) || (!v->guarded && b->only_debug)) {
        return false;
    }
    if (b->script != NULL) {
        return v->form == FORM_FIEF || v->form == FORM_MALLOC;
    }
    return b->forms[v->form] != NULL;
}
