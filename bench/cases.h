/* cases: what is measured. Each function below is one form of one bench, run in a child process:
 * it sets up, measures once, and the driver takes the median over many children. */
#ifndef BENCH_CASES_H
#define BENCH_CASES_H

#include "measure.h"

#include <fief/arena.h>

/* The ways to do the same work. The malloc form is libc's and each peer's, by LD_PRELOAD. */
typedef enum form {
    FORM_FIEF,
    FORM_DIRECT, /* fief-new: the allocator behind it, called directly */
    FORM_IDEAL,
    FORM_LOOP, /* what the bench itself takes, without an allocator */
    FORM_IDEAL_STRUCT,    /* arenas: cursor and limit in memory ... */
    FORM_IDEAL_REGISTERS, /* ... or in two local variables */
    FORM_MALLOC,
    FORM_REGION, /* the arena of another library: regions/ */
    FORM_SYSTEM, /* the OS alone */
    FORMS
} form;

typedef figure measured(const job *given);

measured arena_24_fief, arena_24_struct, arena_24_registers, arena_24_malloc;
measured arena_mix_fief, arena_mix_struct, arena_mix_registers, arena_mix_malloc;
measured arena_24_any_fief, arena_24_any_struct, arena_24_any_registers, arena_24_any_malloc;
measured arena_mix_any_fief, arena_mix_any_struct, arena_mix_any_registers, arena_mix_any_malloc;
measured arena_24_region, arena_mix_region;
measured growth_fief, growth_struct, growth_malloc, growth_region;
measured growth_mix_fief, growth_mix_struct, growth_mix_malloc, growth_mix_region;
measured cold_fief, cold_struct, cold_malloc, cold_region;
measured cold_mix_fief, cold_mix_struct, cold_mix_malloc, cold_mix_region;
measured pages_system, close_fief;
measured arena_reset_fief, arena_destroy_fief, arena_destroy_malloc, arena_reset_malloc;
measured vm_drop_fief, arena_waste_fief, arena_waste_malloc;
measured rewind_fief, rewind_struct, rewind_registers, rewind_malloc;
measured compiler_arena_fief, vm_arena_fief; /* their malloc form is arena_mix_malloc */
measured stack_fief, stack_malloc;
measured pool_fief, pool_malloc;
measured heap_fief, heap_loop, heap_ideal, heap_malloc;
measured heap_unsized_fief, heap_unsized_malloc;
measured new_pool_fief, new_pool_direct, new_heap_fief, new_heap_direct, new_arena_fief,
    new_arena_direct;
measured open_close_fief, open_close_kept_fief, open_close_recycled_fief;
measured scan_fief, unit_end_fief, unit_keep_fief, seal_fief, seal_direct;

/* Ends the child with a sentence. */
_Noreturn void give_up(const char *why);

/* A runtime as fief_open(NULL) makes it, an arena of it: or the child ends. */
fief_runtime *must_open(void);
fief_arena *must_open_arena(fief_runtime *rt, const fief_arena_config *config);

/* Weighted sizes (percentages up to 100, ended by a 0) drawn by a fixed seed: the same sequence in
 * every variant and every run. */
typedef struct weight {
    unsigned size, percent;
} weight;
void draw_sizes(const weight *weights, uint16_t *ret_sizes, size_t count);
/* The same with the sizes of a syntax tree. */
void draw_ast_sizes(uint16_t *ret_sizes, size_t count);
/* A number below `limit` from a seed of one's own. */
size_t draw(uint64_t *seed, size_t limit);

#endif
