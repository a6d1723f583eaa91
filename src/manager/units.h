/* units: which unit's end killed a block, for reports.
 *
 * A record has no room for it, and needs none: a block dies at the end of the unit that was
 * innermost when it was made. So a guarded build notes the last units that ended, each with the
 * operations of its begin and end, and finds a dead block's among them by the operation that made
 * it. Names are copied when a unit begins, the end of a long one. */
#ifndef FIEF_UNITS_H
#define FIEF_UNITS_H

#include "core/ledger.h"

#include <stdbool.h>
#include <stdint.h>

enum { UNITS_NESTED = 32, UNITS_ENDED = 256, UNIT_NAME = 44, UNIT_WORDS = UNIT_NAME + 24 };

typedef struct unit_note {
    uint64_t begun, ended; /* operations */
    uint32_t number;
    uint32_t stack; /* of the call that ended it, as records have it */
    char name[UNIT_NAME];
} unit_note;

typedef struct unit_log {
    uint64_t count; /* of those that ended; a ring */
    unit_note open[UNITS_NESTED + 1]; /* the last stands for all within: its number is 0 */
    unit_note ended[UNITS_ENDED];
} unit_log;

/* NULL when memory is short; what is asked of a log that is NULL is unknown. */
unit_log *units_open(void);
void units_close(unit_log *log);
/* The unit within `depth` others begins; `name` may be NULL. */
void units_begin(unit_log *log, unsigned depth, unsigned number, uint64_t operation,
                 const char *name);
/* The innermost of `depth` units has ended. */
void units_end(unit_log *log, unsigned depth, uint64_t operation, uint32_t stack);
/* How many of `depth` open units began before that operation. */
unsigned units_begun_before(const unit_log *log, unsigned depth, uint64_t operation);
/* The name of one of `depth` open units; "": it has none, or is not open. */
const char *units_name(const unit_log *log, unsigned depth, unsigned number);
/* The one whose end killed that block; NULL: none did, it ended long ago, or was too deep. */
const unit_note *units_killer(const unit_log *log, const record *block);

#endif
