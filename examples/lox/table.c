#include "table.h"

#include "object.h"
#include "vm.h"

#include <string.h>

/* ---- tables ---- */

/* Its own entry, or the empty one where it would go. There is always an empty one. */
static entry *find(entry *entries, uint32_t capacity, const string *key)
{
    uint32_t at = key->hash & (capacity - 1);
    while (entries[at].key != NULL && entries[at].key != key) {
        at = (at + 1) & (capacity - 1);
    }
    return &entries[at];
}

bool table_get(const table *t, const string *key, value *ret_value)
{
    if (t->count == 0) {
        return false;
    }
    const entry *e = find(t->entries, t->capacity, key);
    if (e->key == NULL) {
        return false;
    }
    *ret_value = e->value;
    return true;
}

static void grow(vm *vm, table *t)
{
    uint32_t capacity = t->capacity != 0 ? 2 * t->capacity : 4;
    gc_before(vm, capacity * sizeof(entry));
    entry *entries = new_block(vm, KIND_TABLE, FIEF_DYNAMIC, capacity * sizeof *entries);
    gc_count(vm, capacity * sizeof *entries);
    for (uint32_t i = 0; i < t->capacity; i++) {
        if (t->entries[i].key != NULL) {
            *find(entries, capacity, t->entries[i].key) = t->entries[i];
        }
    }
    uint32_t count = t->count;
    table_free(vm, t);
    *t = (table){count, capacity, entries};
}

void table_set(vm *vm, table *t, string *key, value v)
{
    if (t->count >= t->capacity / 4 * 3) {
        grow(vm, t);
    }
    entry *e = find(t->entries, t->capacity, key);
    t->count += e->key == NULL;
    *e = (entry){key, v};
}

void table_add_all(vm *vm, table *to, const table *from)
{
    for (uint32_t i = 0; i < from->capacity; i++) {
        if (from->entries[i].key != NULL) {
            table_set(vm, to, from->entries[i].key, from->entries[i].value);
        }
    }
}

void table_free(vm *vm, table *t)
{
    if (t->entries != NULL) {
        size_t size = t->capacity * sizeof *t->entries;
        vm->gc.bytes -= size;
        free_block(vm, KIND_TABLE, t->entries, size);
    }
    *t = (table){0};
}

/* ---- the set of strings ---- */

enum { HASH_BITS = 16 };
/* FNV-1a: the hash of what follows goes on from the hash of what came before. */
uint32_t hash_bytes(uint32_t seed, const char *bytes, size_t size)
{
    uint32_t hash = seed;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ (uint8_t)bytes[i]) * 16777619u;
    }
    return hash;
}

static uint64_t slot_for(const string *s)
{
    return (uint64_t)(s->hash >> HASH_BITS) << 48 | (uint64_t)(uintptr_t)s;
}

static bool reads(const string *s, uint32_t hash, const char *left, size_t left_size,
                  const char *right, size_t right_size)
{
    return s->hash == hash && s->length == left_size + right_size &&
           memcmp(s->text, left, left_size) == 0 &&
           (right_size == 0 || memcmp(s->text + left_size, right, right_size) == 0);
}

string *strings_find(const string_set *set, uint32_t hash, const char *left, size_t left_size,
                     const char *right, size_t right_size)
{
    if (set->capacity == 0) {
        return NULL;
    }
    size_t at = hash & (set->capacity - 1);
    for (; set->slots[at] != 0; at = (at + 1) & (set->capacity - 1)) {
        uint64_t slot = set->slots[at];
        if (slot >> 48 == hash >> HASH_BITS &&
            reads(string_at(slot), hash, left, left_size, right, right_size)) {
            return string_at(slot);
        }
    }
    return NULL;
}

static void put(uint64_t *slots, size_t capacity, uint64_t slot, uint32_t hash)
{
    size_t at = hash & (capacity - 1);
    while (slots[at] != 0) {
        at = (at + 1) & (capacity - 1);
    }
    slots[at] = slot;
}

static void grow_set(vm *vm, string_set *set)
{
    size_t capacity = set->capacity != 0 ? set->capacity * 2 : 64;
    uint64_t *slots = new_block(vm, KIND_TABLE, FIEF_DYNAMIC, capacity * sizeof *slots);
    size_t used = set->used; /* now: the block may have cost a collection */
    for (size_t i = 0; i < set->capacity; i++) {
        if (set->slots[i] != 0) {
            put(slots, capacity, set->slots[i], string_at(set->slots[i])->hash);
        }
    }
    strings_free(vm, set);
    *set = (string_set){used, capacity, slots};
}

void strings_reserve(vm *vm, string_set *set)
{
    if (set->used >= set->capacity / 4 * 3) {
        grow_set(vm, set);
    }
}

void strings_add(string_set *set, string *s)
{
    put(set->slots, set->capacity, slot_for(s), s->hash);
    set->used++;
}

/* Each living string is taken out and put again, from behind an empty slot on and once around: it
 * goes no further on than where it was, so no search meets a gap too early. */
void strings_sweep(string_set *set)
{
    size_t start = 0, last = set->capacity - 1;
    while (set->capacity != 0 && set->slots[start] != 0) {
        start++;
    }
    for (size_t i = 1; i < set->capacity; i++) {
        uint64_t *slot = &set->slots[(start + i) & last], was = *slot;
        if (was == 0) {
            continue;
        }
        *slot = 0;
        if (mark_of(&string_at(was)->head) != WHITE) {
            put(set->slots, set->capacity, was, string_at(was)->hash);
        } else {
            set->used--;
        }
    }
}

void strings_free(vm *vm, string_set *set)
{
    if (set->slots != NULL) {
        free_block(vm, KIND_TABLE, set->slots, set->capacity * sizeof *set->slots);
    }
    *set = (string_set){0};
}
