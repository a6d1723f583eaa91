/* table: strings to values, and the set of all strings. Open addressing with linear probing; a
 * string is its own key, since there is one of each. Entries never leave a table. */
#ifndef LOX_TABLE_H
#define LOX_TABLE_H

#include "value.h"

#include <stddef.h>

typedef struct vm vm;
typedef struct string string;

typedef struct entry {
    string *key;
    value value;
} entry;

typedef struct table {
    uint32_t count, capacity; /* of entries; a power of two, or 0 */
    entry *entries;
} table;

bool table_get(const table *t, const string *key, value *ret_value);
void table_set(vm *vm, table *t, string *key, value v);
void table_add_all(vm *vm, table *to, const table *from);
void table_free(vm *vm, table *t);

/* | 16 bits of the hash | the string's address |; 0: empty */
typedef struct string_set {
    size_t used, capacity;
    uint64_t *slots;
} string_set;

static inline string *string_at(uint64_t slot)
{
    return (string *)(uintptr_t)(slot & (((uint64_t)1 << 48) - 1));
}

uint32_t hash_bytes(uint32_t seed, const char *bytes, size_t size);
enum { HASH_SEED = (int)2166136261u };

/* The string that reads `left` then `right`, or NULL. */
string *strings_find(const string_set *set, uint32_t hash, const char *left, size_t left_size,
                     const char *right, size_t right_size);
/* Before the string is made, so that adding it cannot fail. */
void strings_reserve(vm *vm, string_set *set);
void strings_add(string_set *set, string *s);
/* Forgets every string that the collector left white. */
void strings_sweep(string_set *set);
void strings_free(vm *vm, string_set *set);

#endif
