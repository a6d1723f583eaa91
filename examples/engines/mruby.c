/* fief-engine-mruby: mruby on the frame. Programs have $scale. */
#include <stdio.h>
#include <stdlib.h>

#include <mruby.h>
#include <mruby/compile.h>
#include <mruby/error.h>
#include <mruby/string.h>
#include <mruby/variable.h>

#include <fief/adapt/mruby.h>

#include "frame.h"

typedef struct mruby_trap {
    frame *frame;
    mrb_allocf under;
    void *ud;
} mruby_trap;

static void *trapped_hook(mrb_state *mrb, void *block, size_t size, void *ud)
{
    mruby_trap *t = ud;
    if (size != 0 && !frame_admits(t->frame)) {
        return NULL;
    }
    void *moved = t->under(mrb, block, size, t->ud);
    return size == 0 ? frame_counted(t->frame, block != NULL, NULL)
                     : frame_resized(t->frame, block, moved);
}

typedef struct source {
    const frame *frame;
    const char *text;
    size_t size;
} source;

static mrb_value run_source(mrb_state *mrb, void *given)
{
    const source *s = given;
    mrb_gv_set(mrb, mrb_intern_lit(mrb, "$scale"), mrb_float_value(mrb, s->frame->scale));
    return mrb_load_nstring(mrb, s->text, s->size);
}

static int tell(mrb_state *mrb)
{
    if (mrb->exc == NULL) {
        return EXIT_SUCCESS;
    }
    fflush(stdout);
    mrb_value text = mrb_inspect(mrb, mrb_obj_value(mrb->exc));
    return frame_complain(mrb_string_p(text) ? RSTRING_PTR(text) : "an exception");
}

static int run(frame *f)
{
    mruby_trap own = {f, f->runtime != NULL ? fief_mruby_alloc : mrb_default_allocf, frame_heap(f)};
    source s = {.frame = f};
    char *text = frame_read(f->program, &s.size);
    if (text == NULL) {
        return EXIT_FAILURE;
    }
    s.text = text;
    mrb_state *mrb = f->trapped ? mrb_open_allocf(trapped_hook, &own)
                                : mrb_open_allocf(own.under, own.ud);
    int status = EXIT_FAILURE;
    if (mrb == NULL || mrb->exc != NULL) {
        (void)frame_complain("not enough memory for a state");
    } else {
        mrb_bool failed = 0;
        (void)mrb_protect_error(mrb, run_source, &s, &failed);
        status = failed ? frame_complain("an exception outside of the program") : tell(mrb);
    }
    if (mrb != NULL) {
        mrb_close(mrb);
    }
    free(text);
    return status;
}

int main(int argc, char **argv)
{
    return frame_main(&(engine){.name = "mruby", .run = run}, argc, argv);
}
