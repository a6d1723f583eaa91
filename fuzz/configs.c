/* configs: each written once, compiled and kept as text. */
#include "configs.h"

const char *const config_names[CONFIGS] = {
    [CONFIG_USUAL] = "usual",     [CONFIG_POOLS] = "pools",
    [CONFIG_COUNTED] = "counted", [CONFIG_LIMITED] = "limited",
    [CONFIG_ALIGN8] = "align8",   [CONFIG_STRATEGY_LIMITS] = "strategy_limits",
    [CONFIG_BUFFER] = "buffer",   [CONFIG_NO_QUARANTINE] = "no_quarantine",
    [CONFIG_ARENAS] = "arenas",   [CONFIG_SMALL_QUARANTINE] = "small_quarantine",
    [CONFIG_CUSTOM] = "custom",   [CONFIG_RECORDED] = "recorded",
};

const char *const field_names[FIELDS] = {
    [FIELD_LIMIT] = "limit_bytes",
    [FIELD_LIMIT_VM] = "limit_vm",
    [FIELD_LIMIT_UNIT] = "limit_unit",
    [FIELD_LIMIT_STACK] = "limit_stack",
    [FIELD_LIMIT_POOL] = "limit_pool",
    [FIELD_LIMIT_HEAP] = "limit_heap",
    [FIELD_ALIGN] = "align",
    [FIELD_RETAIN] = "retain_bytes",
    [FIELD_QUARANTINE] = "quarantine_bytes",
    [FIELD_DEPTH] = "stack_depth",
    [FIELD_SCAN] = "scan_percent",
    [FIELD_COUNT] = "count_blocks",
    [FIELD_BUFFER] = "buffer_size",
};

#define TEXT_OF(...) #__VA_ARGS__
#define TEXT(...)    TEXT_OF(__VA_ARGS__)

/* Bytes of a block's own read as no address. */
#define DECLARATIONS                                                                               \
    static void tell_ends(const void *block, size_t size, fief_pointers *pointers)                 \
    {                                                                                              \
        for (size_t end = 0; end < 2 && size >= sizeof(uint64_t); end++) {                         \
            size_t at = end != 0 ? (size - sizeof(uint64_t)) & ~(sizeof(uint64_t) - 1) : 0;        \
            const char *field = (const char *)block + at;                                          \
            const void *target;                                                                    \
            memcpy(&target, field, sizeof target);                                                 \
            if ((uintptr_t)target >> 47 == 0) {                                                    \
                fief_pointer(pointers, field, target);                                             \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static const size_t weak_of_both[] = {8, 16};                                                  \
    static const fief_kind pool_kinds[] = {                                                        \
        {.name = "eight", .size = 8, .any = FIEF_POOL},                                            \
        {.name = "pair", .size = 24, .any = FIEF_POOL},                                            \
        {.name = "box", .size = 64, .any = FIEF_POOL, .in = {[FIEF_LITERAL] = FIEF_VM_ARENA},      \
         .visit = tell_ends},                                                                      \
        {.name = "page", .size = 4000, .any = FIEF_POOL},                                          \
        {.name = "half", .size = 32768, .any = FIEF_POOL},                                         \
        {.name = "both", .size = 40, .any = FIEF_HEAP, .in = {[FIEF_NATIVE] = FIEF_POOL},          \
         .weak = weak_of_both, .weak_count = 2},                                                   \
        {.name = "text", .any = FIEF_HEAP, .traits = FIEF_NO_POINTERS},                            \
        {.name = "node", .any = FIEF_COMPILER_ARENA, .visit = tell_ends},                          \
        {.name = "frame", .any = FIEF_STACK},                                                      \
        {.name = "lost", .in = {[FIEF_LITERAL] = FIEF_VM_ARENA}, .visit = tell_ends},              \
        {.name = "walled", .any = FIEF_HEAP, .traits = FIEF_FENCE_BACK},                           \
        {.name = "ditched", .size = 96, .any = FIEF_POOL, .traits = FIEF_FENCE_FRONT},             \
    };                                                                                             \
    static const fief_arena_config presized = {.presize = 100000, .keep_bytes = 1};                \
    static const fief_arena_config capped = {.max_bytes = 30000};                                  \
    static const fief_arena_config recorded = {.recorded = true};

DECLARATIONS
const char config_declarations[] = TEXT(DECLARATIONS);
enum { POOL_KINDS = sizeof pool_kinds / sizeof pool_kinds[0] };

#define LIST(CONFIG_)                                                                              \
    CONFIG_(CONFIG_USUAL, .name = "usual", .retain_bytes = 32 << 20)                               \
    CONFIG_(CONFIG_POOLS, .kinds = pool_kinds, .kind_count = 12, .retain_bytes = 32 << 20)         \
    CONFIG_(CONFIG_COUNTED, .kinds = pool_kinds, .kind_count = 12, .count_blocks = true)           \
    CONFIG_(CONFIG_LIMITED, .limit_bytes = 30000)                                                  \
    CONFIG_(CONFIG_STRATEGY_LIMITS, .limits = {[FIEF_VM_ARENA] = 6000,                             \
                                               [FIEF_COMPILER_ARENA] = 3000,                       \
                                               [FIEF_STACK] = 2000,                                \
                                               [FIEF_POOL] = 700,                                  \
                                               [FIEF_HEAP] = 20000})                               \
    CONFIG_(CONFIG_ALIGN8, .align = 8, .retain_bytes = 1 << 20)                                    \
    CONFIG_(CONFIG_BUFFER, .quarantine_bytes = 1 << 16, .buffer_size = 1000003)                    \
    CONFIG_(CONFIG_NO_QUARANTINE, .reserve_bytes = 64 << 20, .recycle_range = true,                \
            .retain_bytes = 1 << 20, .quarantine_bytes = 1)                                        \
    CONFIG_(CONFIG_SMALL_QUARANTINE, .retain_bytes = 1, .quarantine_bytes = 1 << 16,               \
            .stack_depth = 16)                                                                     \
    CONFIG_(CONFIG_ARENAS, .vm_arena = &presized, .compiler_arena = &capped,                       \
            .frame_stack = &presized)                                                              \
    CONFIG_(CONFIG_CUSTOM, .kind_count = 0)                                                        \
    CONFIG_(CONFIG_RECORDED, .kinds = pool_kinds, .kind_count = 12, .vm_arena = &recorded,         \
            .compiler_arena = &recorded, .retain_bytes = 32 << 20)

const fief_config configs[CONFIGS] = {
#define CONFIG_(id, ...) [id] = {__VA_ARGS__},
    LIST(CONFIG_)
#undef CONFIG_
};
const char *const config_texts[CONFIGS] = {
#define CONFIG_(id, ...) [id] = #__VA_ARGS__,
    LIST(CONFIG_)
#undef CONFIG_
};
_Static_assert(POOL_KINDS == 12, "the list counts the rows");

#define ARENAS(ARENA_)                                                                             \
    ARENA_(.name = "plain")                                                                        \
    ARENA_(.presize = 200000, .keep_bytes = 1)                                                     \
    ARENA_(.max_bytes = 20000)                                                                     \
    ARENA_(.buffer_size = 4096)                                                                    \
    ARENA_(.keep_bytes = 65536)                                                                    \
    ARENA_(.buffer_size = 1001, .presize = 70000, .max_bytes = 150000)                             \
    ARENA_(.keep_bytes = 500000)

const fief_arena_config arena_configs[ARENA_CONFIGS] = {
#define ARENA_(...) {__VA_ARGS__},
    ARENAS(ARENA_)
#undef ARENA_
};
const char *const arena_config_texts[ARENA_CONFIGS] = {
#define ARENA_(...) #__VA_ARGS__,
    ARENAS(ARENA_)
#undef ARENA_
};

void config_set(fief_config *config, field_id field, size_t value)
{
    switch (field) {
    case FIELD_LIMIT:
        config->limit_bytes = value;
        break;
    case FIELD_ALIGN:
        config->align = (unsigned)value;
        break;
    case FIELD_RETAIN:
        config->retain_bytes = value;
        break;
    case FIELD_QUARANTINE:
        config->quarantine_bytes = value;
        break;
    case FIELD_DEPTH:
        config->stack_depth = (unsigned)value;
        break;
    case FIELD_SCAN:
        config->scan_percent = (unsigned)value;
        break;
    case FIELD_COUNT:
        config->count_blocks = value != 0;
        break;
    case FIELD_BUFFER:
        config->buffer_size = value;
        break;
    default:
        config->limits[field - FIELD_LIMIT_VM + FIEF_VM_ARENA] = value;
        break;
    }
}
