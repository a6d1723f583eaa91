/* fief-engine-duktape: Duktape on the frame. Programs have print(...) and scale. */
#include <stdio.h>
#include <stdlib.h>

#include <duktape.h>

#include <fief/adapt/duktape.h>

#include "frame.h"

typedef struct source {
    const frame *frame;
    const char *text;
    size_t size;
} source;

static duk_ret_t print(duk_context *js)
{
    duk_push_string(js, " ");
    duk_insert(js, 0);
    duk_join(js, duk_get_top(js) - 1);
    puts(duk_to_string(js, -1));
    return 0;
}

static duk_ret_t run_source(duk_context *js, void *given)
{
    const source *s = given;
    duk_push_c_function(js, print, DUK_VARARGS);
    duk_put_global_string(js, "print");
    duk_push_number(js, s->frame->scale);
    duk_put_global_string(js, "scale");
    duk_push_lstring(js, s->text, s->size);
    duk_push_string(js, s->frame->program);
    duk_compile(js, 0);
    duk_call(js, 0);
    return 0;
}

static void fatal(void *ud, const char *message)
{
    (void)ud;
    frame_leave(frame_complain(message != NULL ? message : "fatal error"));
}

static duk_context *open(const frame *f, trap *t)
{
    if (f->trapped) {
        return duk_create_heap(trap_alloc, trap_realloc, trap_free, t, fatal);
    }
    if (f->runtime == NULL) {
        return duk_create_heap(NULL, NULL, NULL, NULL, fatal);
    }
    return duk_create_heap(fief_duktape_alloc, fief_duktape_realloc, fief_duktape_free,
                           frame_heap(f), fatal);
}

static int run(frame *f)
{
    trap on_fief = {f, fief_duktape_alloc, NULL, fief_duktape_realloc, fief_duktape_free,
                    frame_heap(f)};
    trap on_libc = {f, libc_alloc, NULL, libc_realloc, libc_free, NULL};
    source s = {.frame = f};
    char *text = frame_read(f->program, &s.size);
    if (text == NULL) {
        return EXIT_FAILURE;
    }
    s.text = text;
    duk_context *js = open(f, f->runtime != NULL ? &on_fief : &on_libc);
    int status = EXIT_SUCCESS;
    if (js == NULL) {
        status = frame_complain("not enough memory for a heap");
    } else if (duk_safe_call(js, run_source, &s, 0, 1) != DUK_EXEC_SUCCESS) {
        status = frame_complain(duk_safe_to_string(js, -1));
    }
    if (js != NULL) {
        duk_destroy_heap(js);
    }
    free(text);
    return status;
}

int main(int argc, char **argv)
{
    return frame_main(&(engine){.name = "duktape", .run = run}, argc, argv);
}
