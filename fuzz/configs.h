/* configs: how a runtime of a program is opened. Each has its own text, for the C form. */
#ifndef FIEF_FUZZ_CONFIGS_H
#define FIEF_FUZZ_CONFIGS_H

#include <fief/fief.h>

typedef enum config_id {
    CONFIG_USUAL,   /* the default kinds in a kept range */
    CONFIG_POOLS,   /* kinds of which most live in pools */
    CONFIG_COUNTED, /* blocks are counted, so that every window is shut */
    CONFIG_LIMITED, /* a limit for all, and an on_full that collects */
    CONFIG_STRATEGY_LIMITS,
    CONFIG_ALIGN8,
    CONFIG_BUFFER,           /* the caller's memory: where it ends depends on the mode */
    CONFIG_NO_QUARANTINE,    /* a reserve of its own, which the next may have */
    CONFIG_SMALL_QUARANTINE, /* and every free page goes back at once */
    CONFIG_ARENAS,           /* presized, capped, small ones */
    CONFIG_CUSTOM,           /* what `row`, `cell` and `field` said */
    CONFIG_RECORDED,         /* two arenas know their blocks, though nothing is counted */
    CONFIGS
} config_id;

typedef enum field_id {
    FIELD_LIMIT,
    FIELD_LIMIT_VM,
    FIELD_LIMIT_UNIT,
    FIELD_LIMIT_STACK,
    FIELD_LIMIT_POOL,
    FIELD_LIMIT_HEAP,
    FIELD_ALIGN,
    FIELD_RETAIN,
    FIELD_QUARANTINE,
    FIELD_DEPTH,
    FIELD_SCAN,
    FIELD_COUNT,
    FIELD_BUFFER,
    FIELDS
} field_id;

extern const char *const config_names[CONFIGS];
extern const char *const field_names[FIELDS];

enum { CUSTOM_ROWS_MAX = 24, LIMITED_BYTES = 30000, ARENA_CONFIGS = 7 };

/* The configuration, without its place, its callbacks and its error. */
extern const fief_config configs[CONFIGS];
/* The same as C: initialisers; and declarations that they need. */
extern const char *const config_texts[CONFIGS];
extern const char config_declarations[];
/* How an arena of the program's own is opened, and the same as C. Those with a buffer_size get a
 * buffer of their own. */
extern const fief_arena_config arena_configs[ARENA_CONFIGS];
extern const char *const arena_config_texts[ARENA_CONFIGS];

void config_set(fief_config *config, field_id field, size_t value);

#endif
