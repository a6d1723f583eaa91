/* strings: copies and formats, placed by context or in an arena. */
#include "manager/runtime.h"

#include <stdio.h>
#include <string.h>

/* ---- copies, once the place is found ---- */

static void *copy_bytes(void *place, const void *bytes, size_t size)
{
    return place != NULL && size != 0 ? memcpy(place, bytes, size) : place;
}

static char *copy_string(char *place, const char *string, size_t length)
{
    if (place != NULL) {
        memcpy(place, string, length);
        place[length] = '\0';
    }
    return place;
}

static int length_of(const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    return length;
}

static char *print_into(char *place, int length, const char *format, va_list args)
{
    if (place != NULL) {
        (void)vsnprintf(place, (size_t)length + 1, format, args);
    }
    return place;
}

/* ---- by context ---- */

static void *place_of(runtime *r, unsigned context, size_t size)
{
    switch (context) {
    case FIEF_NATIVE:
    case FIEF_LITERAL:
    case FIEF_CONSTANT: return arena_alloc(&r->vm, size, 1);
    case FIEF_TEMPORARY: return arena_alloc(&r->unit, size, 1);
    default: return heap_alloc_unsized(&r->heap, size, FIEF_ALIGN);
    }
}

static void *place_for(fief_runtime *rt, unsigned context, size_t size)
{
    runtime *r = whole_runtime(rt);
    note n = {.verb = VERB_COPY, .size = size, .detail = (uint8_t)context};
    return noted(&r->core, place_of(r, context, size), n);
}

static bool enter_runtime(fief_runtime *rt, call from)
{
    return enter(&whole_runtime(rt)->core, from);
}

void *fief_memdup_slow(fief_runtime *rt, unsigned context, const void *bytes, size_t size)
{
    return enter_runtime(rt, CALL()) ? copy_bytes(place_for(rt, context, size), bytes, size) : NULL;
}

char *fief_strndup_slow(fief_runtime *rt, unsigned context, const char *string, size_t size)
{
    size_t length = strnlen(string, size);
    return enter_runtime(rt, CALL())
               ? copy_string(place_for(rt, context, length + 1), string, length)
               : NULL;
}

char *fief_strdup_slow(fief_runtime *rt, unsigned context, const char *string)
{
    size_t length = strlen(string);
    return enter_runtime(rt, CALL())
               ? copy_string(place_for(rt, context, length + 1), string, length)
               : NULL;
}

char *fief_printf(fief_runtime *rt, unsigned context, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = length_of(format, args);
    char *text = NULL;
    if (length >= 0 && enter_runtime(rt, CALL())) {
        text = print_into(place_for(rt, context, (size_t)length + 1), length, format, args);
    }
    va_end(args);
    return text;
}

void fief_free_string_slow(fief_runtime *rt, char *string)
{
    if (string != NULL && enter_runtime(rt, CALL())) {
        note_call(&whole_runtime(rt)->core,
                  (note){.verb = VERB_FREE, .what = string, .detail = VERB_MALLOC});
        heap_give_unsized(&whole_runtime(rt)->heap, string);
    }
}

/* ---- in an arena ---- */

static void *place_in(fief_arena *window, size_t size, size_t align, call from)
{
    arena *a = (arena *)(void *)window;
    return enter(a->core, from)
               ? noted(a->core, arena_alloc(a, size, align), arena_note(a, size, align))
               : NULL;
}

void *fief_arena_memdup_slow(fief_arena *window, const void *bytes, size_t size)
{
    return copy_bytes(place_in(window, size, FIEF_ALIGN, CALL()), bytes, size);
}

char *fief_arena_strndup_slow(fief_arena *window, const char *string, size_t size)
{
    size_t length = strnlen(string, size);
    return copy_string(place_in(window, length + 1, 1, CALL()), string, length);
}

char *fief_arena_strdup_slow(fief_arena *window, const char *string)
{
    size_t length = strlen(string);
    return copy_string(place_in(window, length + 1, 1, CALL()), string, length);
}

static char *print_in(fief_arena *window, call from, const char *format, va_list args)
{
    int length = length_of(format, args);
    char *place = length < 0 ? NULL : place_in(window, (size_t)length + 1, 1, from);
    return print_into(place, length, format, args);
}

char *fief_arena_vprintf_slow(fief_arena *window, const char *format, va_list args)
{
    return print_in(window, CALL(), format, args);
}

char *fief_arena_printf(fief_arena *window, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = print_in(window, CALL(), format, args);
    va_end(args);
    return text;
}
