/* The runtime's private half. */
#ifndef FIEF_MANAGER_RUNTIME_H
#define FIEF_MANAGER_RUNTIME_H

#include "core/core.h"
#include "manager/units.h"

#include "os/os.h"

#include <fief/runtime.h>

enum { KINDS_MAX = 4096 };

/* One block, with the rows and the pools of the table behind it:
 *     | core, heap, arenas, ... | window | rows ...... | pools ... |
 * A row leads to its allocator by an offset within the block. A pool is begun at its first use, so
 * an open touches what is left of `pools`, and no more. */
typedef struct runtime {
    core core;
    arena vm, unit, frames;
    const fief_kind *kinds;
    pool *pools; /* of the kinds that have one, in the table's order */
    unsigned innermost, units; /* the number of the innermost open unit; units so far */
    unsigned depth;            /* units that are open */
    unit_log *log;             /* of units, when guarded; or NULL */
    heap heap;
    fief_runtime window; /* last: the public half, and the rows behind it */
} runtime;

static inline runtime *whole_runtime(const fief_runtime *rt)
{
    return (runtime *)(void *)((uintptr_t)rt - offsetof(runtime, window));
}

static inline const char *kind_name(const runtime *r, unsigned kind)
{
    return kind < r->window.kind_count ? r->kinds[kind].name : "(no kind)";
}

/* misuse.c: what is known of the block at an address. */
void describe_address(core *c, const void *address, fief_misuse *ret);
/* misuse.c: `unit 12 "main.lox"`. */
const char *unit_words(const core *c, unsigned number, char words[UNIT_WORDS]);
/* misuse.c: somebody touched a page of this runtime that is dead. */
void report_access(core *c, const os_fault *fault);
/* The fault is the crash of a handler that was given a misuse: says so, and of which. */
bool report_broken_handler(const core *c, const os_fault *fault);

/* dangling.c: what of the table and the configuration the scans go by. */
void watch_pointers(runtime *r, const fief_config *config);

/* watch.c: which runtimes a fault may concern, when guarded. Closed ones are kept for a while. */
void watch_opened(runtime *r);
void watch_closed(runtime *r);
/* Keeps none of them any longer; how many there were. */
size_t watch_forget(void);
/* Something of it can be read and not written from now on: who writes is told, in every mode. */
void watch_read_only(runtime *r);

/* diary.c: notes of the last calls, where the host asked for them (NULL: it did not), and the file
 * that a report leaves. */
void diary_open(core *c, const char *path);
void diary_save(core *c, fief_misuse *m);
/* The call that was noticed has been refused: as if it had not been made. */
void diary_forget(core *c, const fief_misuse *m);

/* Of a guarded build: stacks and units. */
void close_evidence(runtime *r);
/* trace.c: the trace that the host asked for (config->trace); FIEF_BAD_CONFIG: it has no place to
 * go. */
fief_status trace_start(runtime *r, const fief_config *config);
/* Before a report, which may be the last thing that happens. */
void trace_flush(core *c);
/* As diary_forget. */
void trace_forget(core *c, const fief_misuse *m);
/* A traced runtime is closed: the trace is whole. */
void trace_end(core *c);

/* nodes.c: are the placements possible? That of the runtime; those of its strategies become known
 * to the space, before anything else is kept in it. */
bool nodes_check(const fief_config *config, fief_error *error);
os_placement nodes_placement(const fief_config *config);
void nodes_settle(space *s, const fief_config *config);

/* leaks.c: reports the blocks of dynamic lifetime that are alive, and returns how many. */
size_t report_leaks(runtime *r);

/* Is it the innermost open unit? Else it is misuse that this happens to it: "ended". */
bool is_innermost(runtime *r, const fief_unit *unit, const char *what);

/* table.c: the host's table, checked and resolved. */
bool table_check(const fief_kind *kinds, unsigned count, fief_error *error);
/* Bytes of a runtime with its rows and pools. */
size_t table_bytes(const fief_kind *kinds, unsigned count);
void table_resolve(runtime *r, const fief_kind *kinds, unsigned count);
/* The pool that a cell leads to, begun where it is new. */
pool *table_pool(runtime *r, unsigned kind, const fief_row *row);
bool refuse(fief_error *error, fief_status status, const char *format, ...) FIEF_PRINTF(3, 4);

#endif
