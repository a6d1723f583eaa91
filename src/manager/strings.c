/* strings: helpers that choose by context, and the calls that existing code is used to. */
#include "manager/runtime.h"

#include <stdio.h>
#include <string.h>

static void *bytes_for(fief_runtime *rt, unsigned context, size_t size)
{
    switch (context) {
    case FIEF_NATIVE:
    case FIEF_LITERAL:
    case FIEF_CONSTANT: return fief_arena_alloc_aligned(fief_vm_arena(rt), size, 1);
    case FIEF_TEMPORARY: return fief_arena_alloc_aligned(fief_compiler_arena(rt), size, 1);
    default: return fief_heap_alloc_unsized(rt->heap, size);
    }
}

void *fief_memdup(fief_runtime *rt, unsigned context, const void *bytes, size_t size)
{
    void *copy = bytes_for(rt, context, size);
    return copy != NULL && size != 0 ? memcpy(copy, bytes, size) : copy;
}

char *fief_strndup(fief_runtime *rt, unsigned context, const char *string, size_t size)
{
    size_t length = strnlen(string, size);
    char *copy = bytes_for(rt, context, length + 1);
    if (copy != NULL) {
        memcpy(copy, string, length);
        copy[length] = '\0';
    }
    return copy;
}

char *fief_strdup(fief_runtime *rt, unsigned context, const char *string)
{
    return fief_memdup(rt, context, string, strlen(string) + 1);
}

char *fief_printf(fief_runtime *rt, unsigned context, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : bytes_for(rt, context, (size_t)length + 1);
    if (text != NULL) {
        va_start(args, format);
        (void)vsnprintf(text, (size_t)length + 1, format, args);
        va_end(args);
    }
    return text;
}

void fief_free_string(fief_runtime *rt, char *string)
{
    fief_heap_free_unsized(rt->heap, string);
}

void *fief_arena_memdup(fief_arena *window, const void *bytes, size_t size)
{
    void *copy = fief_arena_alloc(window, size);
    return copy != NULL && size != 0 ? memcpy(copy, bytes, size) : copy;
}

char *fief_arena_strndup(fief_arena *window, const char *string, size_t size)
{
    size_t length = strnlen(string, size);
    char *copy = fief_arena_alloc_aligned(window, length + 1, 1);
    if (copy != NULL) {
        memcpy(copy, string, length);
        copy[length] = '\0';
    }
    return copy;
}

char *fief_arena_strdup(fief_arena *window, const char *string)
{
    return fief_arena_strndup(window, string, SIZE_MAX);
}

char *fief_arena_vprintf(fief_arena *window, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = length < 0 ? NULL : fief_arena_alloc_aligned(window, (size_t)length + 1, 1);
    if (text != NULL) {
        (void)vsnprintf(text, (size_t)length + 1, format, args);
    }
    return text;
}

char *fief_arena_printf(fief_arena *window, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = fief_arena_vprintf(window, format, args);
    va_end(args);
    return text;
}
