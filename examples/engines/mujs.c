/* fief-engine-mujs: MuJS on the frame. Programs have print(...) and scale. */
#include <stdio.h>
#include <stdlib.h>

#include <mujs.h>

#include <fief/adapt/mujs.h>

#include "frame.h"

typedef struct mujs_trap {
    frame *frame;
    js_Alloc under;
    void *context;
} mujs_trap;

static void *libc_hook(void *context, void *block, int size)
{
    (void)context;
    if (size == 0) {
        free(block);
        return NULL;
    }
    return realloc(block, (size_t)size);
}

static void *trapped_hook(void *context, void *block, int size)
{
    mujs_trap *t = context;
    if (size != 0 && !frame_admits(t->frame)) {
        return NULL;
    }
    void *moved = t->under(t->context, block, size);
    return size == 0 ? frame_counted(t->frame, block != NULL, NULL)
                     : frame_resized(t->frame, block, moved);
}

static void print(js_State *J)
{
    for (int i = 1; i < js_gettop(J); i++) {
        printf("%s%s", i > 1 ? " " : "", js_tostring(J, i));
    }
    putchar('\n');
    js_pushundefined(J);
}

/* Everything that may throw, the setting up included. */
static int run_text(js_State *J, const frame *f, const char *text)
{
    if (js_try(J)) {
        return frame_complain(js_trystring(J, -1, "an error that is no string"));
    }
    js_newcfunction(J, print, "print", 0);
    js_setglobal(J, "print");
    js_pushnumber(J, f->scale);
    js_setglobal(J, "scale");
    js_loadstring(J, f->program, text);
    js_pushundefined(J);
    js_call(J, 0);
    js_endtry(J);
    return EXIT_SUCCESS;
}

static int run(frame *f)
{
    mujs_trap own = {f, f->runtime != NULL ? fief_mujs_alloc : libc_hook, frame_heap(f)};
    size_t size;
    char *text = frame_read(f->program, &size);
    if (text == NULL) {
        return EXIT_FAILURE;
    }
    js_State *J = f->trapped           ? js_newstate(trapped_hook, &own, JS_STRICT)
                  : f->runtime == NULL ? js_newstate(NULL, NULL, JS_STRICT)
                                       : js_newstate(own.under, own.context, JS_STRICT);
    int status = J != NULL ? run_text(J, f, text) : frame_complain("not enough memory for a state");
    if (J != NULL) {
        js_freestate(J);
    }
    free(text);
    return status;
}

int main(int argc, char **argv)
{
    return frame_main(&(engine){.name = "mujs", .run = run}, argc, argv);
}
