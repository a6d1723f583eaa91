#include "core/core.h"

#include "guard.h"
#include "os/os.h"

bool budget_admits(const core *c, fief_strategy strategy, size_t size)
{
    const tally *t = &c->tallies[strategy];
    bool runtime_has_room = c->limit == 0 || (c->asked <= c->limit && size <= c->limit - c->asked);
    bool strategy_has_room = t->limit == 0 || (t->asked <= t->limit && size <= t->limit - t->asked);
    return runtime_has_room && strategy_has_room;
}

void budget_take(core *c, fief_strategy strategy, size_t size)
{
    tally *t = &c->tallies[strategy];
    c->asked += size;
    t->asked += size;
    t->total += size;
    t->blocks++;
    if (t->asked > t->asked_peak) {
        t->asked_peak = t->asked;
    }
}

void budget_give(core *c, fief_strategy strategy, size_t size, size_t blocks)
{
    tally *t = &c->tallies[strategy];
    c->asked -= size;
    t->asked -= size;
    t->blocks -= blocks;
}

bool core_full(core *c, fief_strategy strategy, size_t size)
{
    if (c->on_full != NULL && c->on_full(c->rt, size, c->user)) {
        return true;
    }
    c->tallies[strategy].refused++;
    return false;
}

bool thread_is_owner(core *c, const void *site)
{
    if (!c->shut || c->thread == os_thread()) {
        return true;
    }
    misuse(c, FIEF_MISUSE_WRONG_THREAD, NULL, 0, site,
           "called from a thread that does not own the runtime");
    return false;
}

bool block_returns(core *c, void *block, size_t size, const char *owner, const void *site)
{
    static const struct {
        fief_misuse_class class_id;
        const char *what;
    } found[] = {
        [GUARD_OVERFLOW] = {FIEF_MISUSE_OVERFLOW, "was written past its end"},
        [GUARD_UNDERFLOW] = {FIEF_MISUSE_UNDERFLOW, "was written before its start"},
        [GUARD_DOUBLE] = {FIEF_MISUSE_DOUBLE_FREE, "was free already"},
    };
    guard_verdict verdict = guard_return(block, size);
    if (verdict != GUARD_INTACT) {
        misuse(c, found[verdict].class_id, block, size, site, "a block of %s %s", owner,
               found[verdict].what);
    }
    return verdict != GUARD_DOUBLE;
}
