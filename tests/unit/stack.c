#include <fief/fief.h>

#include <criterion/criterion.h>

static bool remember(const fief_misuse *misuse, void *user)
{
    *(fief_misuse_class *)user = misuse->class_id;
    return true;
}

Test(stack, pops_newest_first_across_spans)
{
    fief_runtime *rt = fief_open(NULL);
    fief_stack *s = fief_frame_stack(rt);
    enum { FRAMES = 5000 };
    static void *frames[FRAMES];
    for (size_t i = 0; i < FRAMES; i++) {
        cr_assert_not_null(frames[i] = fief_stack_push(s, 40 + i % 7));
        memset(frames[i], 0x11, 40 + i % 7);
    }
    for (size_t i = FRAMES; i-- > 0;) {
        cr_assert(fief_stack_pop(s, frames[i], 40 + i % 7));
    }
    cr_expect_eq(fief_arena_used(&s->arena), 0);
    cr_expect_eq(fief_close(rt), 0);
}

Test(stack, pop_of_an_older_block_is_misuse)
{
    fief_misuse_class seen = FIEF_MISUSE_CLASSES;
    fief_runtime *rt = fief_open(&(fief_config){.on_misuse = remember, .user = &seen});
    fief_stack *s = fief_frame_stack(rt);
    void *older = fief_stack_push(s, 32), *newer = fief_stack_push(s, 32);
    cr_expect_not(fief_stack_pop(s, older, 32));
    cr_expect_eq(seen, FIEF_MISUSE_NOT_LIFO);
    cr_expect(fief_stack_pop(s, newer, 32));
    cr_expect(fief_stack_pop(s, older, 32));
    cr_expect_eq(fief_close(rt), 0);
}
