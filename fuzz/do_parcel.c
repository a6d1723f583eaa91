/* do_parcel: a block of the open unit, with what it leads to, goes to a runtime: the same one, or
 * another. */
#include "run.h"

#include <string.h>

enum { WRITTEN_WHOLE = 512 };

/* In every mode the blocks of the compiler arena are known, and their kinds don't change. */
static bool may_send(const life *l)
{
    const home *h = &l->homes[HOME_UNIT];
    bool stands_in = false;
    for (size_t i = 0; i < h->logged; i++) {
        stands_in = stands_in || h->log[i].fell_back;
    }
    return l->unit_count != 0 && l->is_counted && !stands_in && !l->is_loose && !l->sizes_vary &&
           l->config != CONFIG_CUSTOM;
}

static bool is_of_units(const life *l, const block *b)
{
    return b->home == HOME_UNIT && b->strategy == l->homes[HOME_UNIT].strategy;
}

/* What a field of a kind without pointers holds goes along unseen. Of a large block not all was
 * written: old bytes may read as addresses, where somebody looks. */
static bool is_sendable(const life *l, const block *b)
{
    bool is_plain = b->kind < l->kind_count && (l->kinds[b->kind].traits & FIEF_NO_POINTERS) != 0;
    return is_of_units(l, b) && (is_plain ? b->field == NO_FIELD : b->size <= WRITTEN_WHOLE);
}

void drop_parcel(run *r)
{
    if (r->sent.parcel != NULL) {
        SAY(r, "fief_parcel_drop(&parcel);");
        fief_parcel_drop(&r->sent.parcel);
    }
}

static int number_of(const sent *s, const unsigned char *start)
{
    unsigned n = 0;
    while (n < s->count && s->blocks[n].start != start) {
        n++;
    }
    return n < s->count ? (int)n : -1;
}

/* From the root along the fields that their kinds tell. Returns whether it may be sent: no field
 * leads elsewhere in the runtime. *ret_known: the model follows so far. */
static bool follow(const life *l, int root, sent *s, bool *ret_known)
{
    *ret_known = true;
    for (int index = root; *ret_known;) {
        const block *b = &l->blocks[index];
        block *copy = &s->blocks[s->count++];
        s->size += b->counted;
        *copy = *b;
        if (!points_inside(l, b)) {
            return true;
        }
        const block *to = &l->blocks[b->field];
        if (!is_told(l, b) || !is_of_units(l, to)) {
            return false;
        }
        index = b->field;
        copy->field = number_of(s, to->start);
        if (copy->field >= 0) {
            return true;
        }
        copy->field = (int)s->count;
        *ret_known = s->count < SENT_MOST && is_sendable(l, to);
    }
    return false;
}

void do_unit_send(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int index = l != NULL && may_send(l) ? find_block(l, at[0], is_sendable) : -1;
    sent s = {.count = 0};
    bool known = false, may = index >= 0 && follow(l, index, &s, &known);
    if (!known) {
        return;
    }
    drop_parcel(r);
    may = may && !l->homes[HOME_UNIT].has_buffer;
    fief_error error = {FIEF_OK, ""};
    fief_parcel_config config = {.error = &error};
    SAY(r, "parcel = fief_unit_send(rt[%u], u[%u][%u], %s, NULL);", l->index, l->index,
        l->unit_count - 1, c_block(l, index));
    SAY(r, "must(%sparcel, \"sent, or not\");", may ? "" : "!");
    s.parcel = fief_unit_send(l->rt, l->units[l->unit_count - 1].unit, s.blocks[0].start, &config);
    MUST(r,
         (s.parcel != NULL) == may ||
             (s.parcel == NULL && error.status == FIEF_NO_MEMORY && null_is_fine(r)),
         "expected b%d to be %s, found '%s'", index, may ? "sent" : "refused", error.text);
    if (s.parcel != NULL) {
        MUST(r, fief_parcel_blocks(s.parcel) == s.count && fief_parcel_size(s.parcel) == s.size,
             "expected %u blocks of %zu bytes, found %zu of %zu", s.count, s.size,
             fief_parcel_blocks(s.parcel), fief_parcel_size(s.parcel));
        s.kinds = l->kinds;
        r->sent = s;
    }
}

static void must_be_refused(run *r, const life *l)
{
    fief_error error = {FIEF_OK, ""};
    SAY(r, "must(fief_unit_receive(rt[%u], &parcel, NULL) == NULL, \"refused\");", l->index);
    MUST(r, fief_unit_receive(l->rt, &r->sent.parcel, &error) == NULL,
         "expected a parcel of other kinds to be refused, found it received");
    MUST(r, error.status == FIEF_OTHER_IMAGE && r->sent.parcel != NULL,
         "expected the parcel to be there still, found '%s'", error.text);
}

/* Where the copies are: each but the root is where the one before it points. */
static void find_copies(run *r, const sent *s, unsigned char *root, unsigned char **ret_copies)
{
    ret_copies[0] = root;
    for (unsigned n = 0; n < s->count; n++) {
        block copy = s->blocks[n];
        unsigned char *target = copy.outside;
        copy.start = ret_copies[n];
        MUST(r, block_holds(&copy, copy.size), "expected the bytes that were sent");
        if (copy.field == NO_FIELD) {
            return;
        }
        memcpy(&target, copy.start + copy.field_at, sizeof target);
        if (n + 1 < s->count) {
            ret_copies[n + 1] = target;
        }
        unsigned char *expected = copy.field >= 0 ? ret_copies[copy.field] : copy.outside;
        MUST(r, target == expected, "expected a copy's pointer to lead to %s, found %p",
             copy.field >= 0 ? "a copy" : "the host's byte", (void *)target);
    }
}

static made made_of(const life *l, const block *was, unsigned char *start)
{
    int home_index = l->unit_count != 0 ? HOME_UNIT : HOME_VM;
    return (made){.start = start,
                  .size = was->counted,
                  .counted = was->counted,
                  .align = FIEF_ALIGN,
                  .origin = IN_ARENA,
                  .home = home_index,
                  .pool = -1,
                  .kind = was->kind < l->kind_count ? was->kind : no_kind(l),
                  .strategy = l->homes[home_index].strategy};
}

static void receive(run *r, life *l, int index)
{
    const sent s = r->sent;
    unsigned char *copies[SENT_MOST];
    SAY(r, "%s = fief_unit_receive(rt[%u], &parcel, NULL);", c_block(l, index), l->index);
    unsigned char *root = fief_unit_receive(l->rt, &r->sent.parcel, NULL);
    MUST(r, (root == NULL) == (r->sent.parcel != NULL),
         "expected the parcel or its blocks, found %s", root == NULL ? "neither" : "both");
    if (root == NULL) {
        settle(r, index, made_of(l, &s.blocks[0], NULL));
        return;
    }
    find_copies(r, &s, root, copies);
    for (unsigned n = 0; n < s.count; n++) {
        if (n + 1 < s.count) {
            SAY(r, "memcpy(&kept, %s + %zu, sizeof kept);", c_block(l, index),
                s.blocks[n].field_at);
        }
        settle(r, index, made_of(l, &s.blocks[n], copies[n]));
        if (n + 1 < s.count) {
            index = find_empty(l, (uint64_t)index);
            SAY(r, "%s = kept;", c_block(l, index));
        }
    }
}

/* Several are received where nothing but the OS refuses one of them. */
static bool may_receive(const run *r, const life *l)
{
    bool limited = l->limit != 0 || l->may_run_out;
    for (unsigned i = 0; i < FIEF_STRATEGIES; i++) {
        limited = limited || l->strategies[i].limit != 0;
    }
    const home *h = &l->homes[l->unit_count != 0 ? HOME_UNIT : HOME_VM];
    return r->sent.count == 1 ||
           (!limited && !h->has_cap && !h->has_buffer && BLOCKS - l->live >= r->sent.count);
}

void do_unit_receive(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l == NULL || r->sent.parcel == NULL || l->config == CONFIG_CUSTOM || l->is_loose) {
        return;
    }
    int index = room_for(r, at[0], r->sent.size);
    if (at[1] % 8 == 7) {
        drop_parcel(r);
    } else if (l->kinds != r->sent.kinds) {
        must_be_refused(r, l);
    } else if (index >= 0 && may_receive(r, l)) {
        receive(r, l, index);
    }
}
