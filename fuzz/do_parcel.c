/* do_parcel: a block of the open unit goes to a runtime: the same one, or another. */
#include "run.h"

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

/* What a field of a kind without pointers holds goes along unseen. Of a large block not all was
 * written: old bytes may read as addresses, where somebody looks. */
static bool is_sendable(const life *l, const block *b)
{
    bool is_plain = b->kind < l->kind_count && (l->kinds[b->kind].traits & FIEF_NO_POINTERS) != 0;
    return b->home == HOME_UNIT && b->strategy == l->homes[HOME_UNIT].strategy &&
           (is_plain ? b->field == NO_FIELD : b->size <= WRITTEN_WHOLE);
}

void drop_parcel(run *r)
{
    if (r->sent.parcel != NULL) {
        SAY(r, "fief_parcel_drop(&parcel);");
        fief_parcel_drop(&r->sent.parcel);
    }
}

/* No kind declares its fields, so a block that has one is refused. */
void do_unit_send(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    int index = l != NULL && may_send(l) ? find_block(l, at[0], is_sendable) : -1;
    if (index < 0) {
        return;
    }
    drop_parcel(r);
    const block *b = &l->blocks[index];
    bool may = b->field == NO_FIELD && !l->homes[HOME_UNIT].has_buffer;
    fief_error error = {FIEF_OK, ""};
    fief_parcel_config config = {.error = &error};
    SAY(r, "parcel = fief_unit_send(rt[%u], u[%u][%u], %s, NULL);", l->index, l->index,
        l->unit_count - 1, c_block(l, index));
    SAY(r, "must(%sparcel, \"sent, or not\");", may ? "" : "!");
    fief_parcel *parcel =
        fief_unit_send(l->rt, l->units[l->unit_count - 1].unit, b->start, &config);
    MUST(r,
         (parcel != NULL) == may ||
             (parcel == NULL && error.status == FIEF_NO_MEMORY && null_is_fine(r)),
         "expected b%d to be %s, found '%s'", index, may ? "sent" : "refused", error.text);
    if (parcel != NULL) {
        MUST(r, fief_parcel_blocks(parcel) == 1 && fief_parcel_size(parcel) == b->counted,
             "expected 1 block of %zu bytes, found %zu of %zu", b->counted,
             fief_parcel_blocks(parcel), fief_parcel_size(parcel));
        r->sent = (sent){parcel, *b, l->kinds};
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

static void receive(run *r, life *l, int index)
{
    const block was = r->sent.block;
    int home_index = l->unit_count != 0 ? HOME_UNIT : HOME_VM;
    made m = {.size = was.counted,
              .counted = was.counted,
              .align = FIEF_ALIGN,
              .origin = IN_ARENA,
              .home = home_index,
              .pool = -1,
              .kind = was.kind < l->kind_count ? was.kind : no_kind(l),
              .strategy = l->homes[home_index].strategy};
    SAY(r, "%s = fief_unit_receive(rt[%u], &parcel, NULL);", c_block(l, index), l->index);
    m.start = fief_unit_receive(l->rt, &r->sent.parcel, NULL);
    MUST(r, (m.start == NULL) == (r->sent.parcel != NULL),
         "expected the parcel or its block, found %s", m.start == NULL ? "neither" : "both");
    if (m.start != NULL) {
        block copy = was;
        copy.start = m.start;
        MUST(r, block_holds(&copy, copy.size), "expected the bytes that were sent");
    }
    settle(r, index, m);
}

void do_unit_receive(run *r, const uint64_t *at)
{
    life *l = open_life(r);
    if (l == NULL || r->sent.parcel == NULL || l->config == CONFIG_CUSTOM || l->is_loose) {
        return;
    }
    int index = room_for(r, at[0], r->sent.block.counted);
    if (at[1] % 8 == 7) {
        drop_parcel(r);
    } else if (l->kinds != r->sent.kinds) {
        must_be_refused(r, l);
    } else if (index >= 0) {
        receive(r, l, index);
    }
}
