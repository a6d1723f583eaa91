/* units: see units.h. */
#include "manager/units.h"

#include "os/os.h"

#include <string.h>

static size_t log_bytes(void)
{
    return (sizeof(unit_log) + OS_PAGE - 1) / OS_PAGE * OS_PAGE;
}

unit_log *units_open(void)
{
    return os_map(log_bytes());
}

void units_close(unit_log *log)
{
    if (log != NULL) {
        os_release(log, log_bytes());
    }
}

/* Of a path that is too long, the end says more. The rest of ret_name is zero. */
static void copy_name(char *ret_name, const char *name)
{
    size_t length = name != NULL ? strlen(name) : 0;
    size_t from = length < UNIT_NAME ? 0 : length - (UNIT_NAME - 1);
    while (from != 0 && ((unsigned char)name[from] & 0xC0) == 0x80) {
        from++; /* not from the middle of a character of UTF-8 */
    }
    if (length != 0) {
        memcpy(ret_name, name + from, length - from);
    }
}

void units_begin(unit_log *log, unsigned depth, unsigned number, uint64_t operation,
                 const char *name)
{
    if (log != NULL && depth <= UNITS_NESTED) {
        bool has_room = depth < UNITS_NESTED;
        unit_note *note = &log->open[depth];
        *note = (unit_note){.begun = operation, .number = has_room ? number : 0};
        copy_name(note->name, has_room ? name : NULL);
    }
}

void units_end(unit_log *log, unsigned depth, uint64_t operation, uint32_t stack)
{
    if (log != NULL && depth != 0) {
        unit_note *note = &log->ended[log->count++ % UNITS_ENDED];
        *note = log->open[depth <= UNITS_NESTED ? depth - 1 : UNITS_NESTED];
        note->ended = operation;
        note->stack = stack & RECORD_STACK;
    }
}

unsigned units_begun_before(const unit_log *log, unsigned depth, uint64_t operation)
{
    unsigned before = 0;
    while (log != NULL && before < depth && before < UNITS_NESTED &&
           log->open[before].begun < operation) {
        before++;
    }
    return before;
}

const char *units_name(const unit_log *log, unsigned depth, unsigned number)
{
    for (unsigned i = 0; log != NULL && i < depth && i < UNITS_NESTED; i++) {
        if (log->open[i].number == number) {
            return log->open[i].name;
        }
    }
    return "";
}

/* Units within it ended earlier, so the first that fits is the innermost. */
const unit_note *units_killer(const unit_log *log, const record *block)
{
    uint64_t count = log != NULL ? log->count : 0;
    bool died = block->state == BLOCK_RESET || block->state == BLOCK_REWOUND;
    for (uint64_t i = count > UNITS_ENDED ? count - UNITS_ENDED : 0; died && i < count; i++) {
        const unit_note *note = &log->ended[i % UNITS_ENDED];
        uint64_t begun = note->begun & OPERATION_MAX, ended = note->ended & OPERATION_MAX;
        if (begun < block->operation && block->operation <= ended &&
            note->stack == block->died) {
            return note->number != 0 ? note : NULL;
        }
    }
    return NULL;
}
