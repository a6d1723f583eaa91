/* value: 64 bits that are a number, or else nil, a boolean or an object.
 *     number   any double; no arithmetic gives a NaN with all of the bits of VALUE_TAGGED
 *     tagged   0x7ffc............ + nil, false, true, or "empty": no Lox value (a hole)
 *     object   0xfffc + the address, 48 bits */
#ifndef LOX_VALUE_H
#define LOX_VALUE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t value;
typedef struct object object;

#define VALUE_TAGGED ((uint64_t)0x7ffc000000000000)
#define VALUE_SIGN ((uint64_t)1 << 63)
#define VALUE_NIL (VALUE_TAGGED | 1)
#define VALUE_FALSE (VALUE_TAGGED | 2)
#define VALUE_TRUE (VALUE_TAGGED | 3)
#define VALUE_EMPTY (VALUE_TAGGED | 4)

static inline bool is_number(value v)
{
    return (v & VALUE_TAGGED) != VALUE_TAGGED;
}

static inline bool is_object(value v)
{
    return (v & (VALUE_TAGGED | VALUE_SIGN)) == (VALUE_TAGGED | VALUE_SIGN);
}

static inline bool is_falsey(value v)
{
    return v == VALUE_NIL || v == VALUE_FALSE;
}

static inline double as_number(value v)
{
    double number;
    memcpy(&number, &v, sizeof number);
    return number;
}

static inline value from_number(double number)
{
    value v;
    memcpy(&v, &number, sizeof v);
    return v;
}

static inline value from_bool(bool b)
{
    return VALUE_FALSE | (value)b;
}

static inline object *as_object(value v)
{
    return (object *)(uintptr_t)(v & ~(VALUE_TAGGED | VALUE_SIGN));
}

static inline value from_object(const void *o)
{
    return VALUE_TAGGED | VALUE_SIGN | (uint64_t)(uintptr_t)o;
}

static inline bool values_equal(value a, value b)
{
    return is_number(a) && is_number(b) ? as_number(a) == as_number(b) : a == b;
}

#endif
