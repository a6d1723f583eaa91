#include <fief/fief.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(runtime, new_is_zeroed_and_goes_where_the_table_says)
{
    fief_runtime *rt = fief_open(NULL);
    char *closure = fief_new(rt, FIEF_KIND_CLOSURE, FIEF_DYNAMIC, 64);
    char *text = fief_new(rt, FIEF_KIND_STRING, FIEF_DYNAMIC, 33);
    char *literal = fief_new(rt, FIEF_KIND_STRING, FIEF_LITERAL, 33);
    for (size_t i = 0; i < 33; i++) {
        cr_expect(closure[i] == 0 && text[i] == 0 && literal[i] == 0);
    }
    cr_expect_eq(fief_owner(rt, closure), FIEF_POOL);
    cr_expect_eq(fief_owner(rt, text), FIEF_HEAP);
    cr_expect_eq(fief_owner(rt, literal), FIEF_VM_ARENA);
    cr_expect_eq(fief_owner(rt, &rt), FIEF_NO_STRATEGY);
    fief_free(rt, FIEF_KIND_CLOSURE, closure, 64);
    fief_free(rt, FIEF_KIND_STRING, text, 33);
    cr_expect_eq(fief_close(rt), 0);
}

Test(runtime, units_nest_and_their_temporaries_die)
{
    fief_runtime *rt = fief_open(NULL);
    fief_unit outer = fief_unit_begin(rt);
    char *kept = fief_temp(rt, char, 100);
    memset(kept, 7, 100);
    fief_unit inner = fief_unit_begin(rt);
    cr_assert_not_null(fief_temp(rt, double, 9000));
    fief_unit_end(rt, inner);
    cr_expect_eq(kept[99], 7);
    fief_unit_end(rt, outer);
    cr_expect_eq(fief_stats_strategy(rt, FIEF_COMPILER_ARENA).used_bytes, 0);
    cr_expect_eq(fief_stats_strategy(rt, FIEF_COMPILER_ARENA).resets, 1);
    cr_expect_eq(fief_close(rt), 0);
}

Test(runtime, close_counts_what_leaked)
{
    fief_runtime *rt = fief_open(&(fief_config){.count_blocks = true});
    cr_assert_not_null(fief_new(rt, FIEF_KIND_PAIR, FIEF_DYNAMIC, 48));
    cr_assert_not_null(fief_new(rt, FIEF_KIND_LIST, FIEF_DYNAMIC, 32));
    cr_expect_eq(fief_close(rt), 2);
    cr_expect_eq(fief_close(NULL), 0);
}

Test(runtime, a_limit_refuses_and_on_full_may_collect)
{
    fief_runtime *rt = fief_open(&(fief_config){.limit_bytes = 10000});
    fief_heap *h = fief_runtime_heap(rt);
    void *most = fief_heap_alloc(h, 9000);
    cr_assert_not_null(most);
    cr_expect_null(fief_heap_alloc(h, 1001));
    cr_expect_eq(fief_stats_strategy(rt, FIEF_HEAP).refused, 1);
    fief_heap_free(h, most, 9000);
    void *again = fief_heap_alloc(h, 10000);
    cr_expect_not_null(again);
    fief_heap_free(h, again, 10000);
    cr_expect_eq(fief_close(rt), 0);
}

static fief_status status_of(fief_config config, const char *word)
{
    fief_error error = {FIEF_OK, ""};
    config.error = &error;
    cr_expect_null(fief_open(&config));
    cr_expect_not_null(strstr(error.text, word), "'%s' names %s", error.text, word);
    return error.status;
}

Test(runtime, open_refuses_nonsense_with_a_sentence)
{
    fief_kind twice[] = {{"a", 0, FIEF_HEAP, {0}}, {"a", 0, FIEF_HEAP, {0}}};
    cr_expect_eq(status_of((fief_config){.kinds = twice, .kind_count = 2}, "twice"), FIEF_BAD_TABLE);
    fief_kind pool[] = {{"cell", 0, FIEF_POOL, {0}}};
    cr_expect_eq(status_of((fief_config){.kinds = pool, .kind_count = 1}, "cell"), FIEF_BAD_TABLE);
    fief_kind odd[] = {{"odd", 0, (fief_strategy)77, {0}}};
    cr_expect_eq(status_of((fief_config){.kinds = odd, .kind_count = 1}, "77"), FIEF_BAD_TABLE);
    cr_expect_eq(status_of((fief_config){.limit_bytes = 5}, "5"), FIEF_BAD_CONFIG);
    static char small[100];
    cr_expect_eq(status_of((fief_config){.buffer = small, .buffer_size = 100}, "100"),
                 FIEF_BAD_CONFIG);
    cr_expect_eq(status_of((fief_config){.reserve_bytes = 4096}, "4096"), FIEF_NO_MEMORY);
}

Test(runtime, lives_in_a_callers_buffer)
{
    size_t size = 4 << 20;
    void *buffer = malloc(size);
    fief_runtime *rt = fief_open(&(fief_config){.buffer = buffer, .buffer_size = size});
    cr_assert_not_null(rt);
    cr_expect_str_eq(fief_strdup(rt, FIEF_NATIVE, "clock"), "clock");
    cr_expect_null(fief_heap_alloc(fief_runtime_heap(rt), size));
    cr_expect_eq(fief_close(rt), 0);
    free(buffer);
}

Test(runtime, statistics_say_what_they_do_not_count)
{
    fief_runtime *rt = fief_open(NULL);
    char text[4096];
    cr_expect_lt(fief_stats_text(rt, text, sizeof text), sizeof text);
    cr_expect_not_null(strstr(text, "compiler arena"));
    size_t length = fief_stats_json(rt, text, sizeof text);
    cr_expect_eq(text[length - 1], '}');
    cr_expect_eq(fief_stats_json(rt, text, 10), length);
    cr_expect_eq(fief_close(rt), 0);
}
