/* Parcels: what a unit made arrives whole in another runtime, or is refused and nothing has
 * changed, in every mode. */
#include "pairs.h"
#include "support.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT, PAIR, TAGGED, OPAQUE, CELL, ITEM, FRAME, NATIVE, KINDS };
enum { NODES = 600, STEP = 60 };

#define PAIR_ROW .size = sizeof(pair), .pointers = pair_pointers, .pointer_count = 2
static const fief_kind kinds[KINDS] = {
    [TEXT] = {.name = "text", .any = FIEF_COMPILER_ARENA, .traits = FIEF_NO_POINTERS},
    [PAIR] = {.name = "pair", .any = FIEF_COMPILER_ARENA, PAIR_ROW},
    [TAGGED] = {.name = "tagged", .any = FIEF_COMPILER_ARENA, .visit = visit_tagged},
    [OPAQUE] = {.name = "opaque", .any = FIEF_COMPILER_ARENA},
    [CELL] = {.name = "cell", .size = 32, .any = FIEF_POOL},
    [ITEM] = {.name = "item", .any = FIEF_HEAP},
    [FRAME] = {.name = "frame", .any = FIEF_STACK},
    [NATIVE] = {.name = "native", .any = FIEF_VM_ARENA},
};

static witness saw;
static fief_error error;
static const fief_arena_config recorded = {.recorded = true};

static fief_runtime *open_with(fief_config config)
{
    saw.count = 0;
    error = (fief_error){0};
    config.kinds = config.kinds != NULL ? config.kinds : kinds;
    config.kind_count = KINDS;
    config.reserve_bytes = small_reserve;
    config.compiler_arena = config.compiler_arena != NULL ? config.compiler_arena : &recorded;
    config.on_misuse = witness_misuse;
    config.user = &saw;
    fief_runtime *rt = fief_open(&config);
    cr_assert_not_null(rt);
    return rt;
}

static fief_runtime *open_usual(void)
{
    return open_with((fief_config){0});
}

static void close_clean(fief_runtime *rt)
{
    (void)fief_check(rt);
    cr_expect_eq(fief_close(rt), 0);
    cr_expect_eq(saw.count, 0, "%s", saw.text);
}

static fief_parcel *send_block(fief_runtime *rt, fief_unit unit, const void *root)
{
    error = (fief_error){0};
    return fief_unit_send(rt, unit, root, &(fief_parcel_config){.error = &error});
}

static void *receive(fief_runtime *rt, fief_parcel **parcel)
{
    error = (fief_error){0};
    return fief_unit_receive(rt, parcel, &error);
}

static void *new_block(fief_runtime *rt, unsigned kind, size_t size)
{
    void *block = fief_new(rt, kind, FIEF_TEMPORARY, size);
    cr_assert_not_null(block);
    return block;
}

static void write_text(unsigned number, char *ret_text)
{
    (void)snprintf(ret_text, 400, "%0*u", (int)(number % 390 + 1), number);
}

/* A list of pairs with texts, and a block that has tagged pointers to some; blocks of other use lie
 * between. */
static tagged *make_content(fief_runtime *rt)
{
    tagged *all = new_block(rt, TAGGED, sizeof *all + NODES / STEP * sizeof(uint64_t));
    pair *last = NULL;
    for (unsigned i = 0; i < NODES; i++) {
        char text[400];
        write_text(i, text);
        pair *p = new_block(rt, PAIR, sizeof *p);
        (void)memset(new_block(rt, OPAQUE, 24), 0xFF, 24);
        *p = (pair){strcpy(new_block(rt, TEXT, strlen(text) + 1), text), last, i};
        last = p;
        if (i % STEP == STEP - 1) {
            all->words[all->count++] = TAG | (uint64_t)(uintptr_t)p;
        }
    }
    all->words[0] = 42; /* a number among them */
    return all;
}

static bool content_is_whole(fief_runtime *rt, const tagged *all, fief_strategy strategy)
{
    bool whole = all->count == NODES / STEP && all->words[0] == 42;
    const pair *p = target_of(all->words[all->count - 1]);
    for (unsigned n = NODES; whole && n-- > 0; p = p->next) {
        char text[400];
        write_text(n, text);
        bool is_listed = n % STEP != STEP - 1 || n < STEP || target_of(all->words[n / STEP]) == p;
        whole = p != NULL && p->number == n && strcmp(p->text, text) == 0 && is_listed &&
                is_multiple(p, 16) && fief_owner(rt, p) == strategy &&
                fief_owner(rt, p->text) == strategy;
    }
    return whole && p == NULL;
}

Test(parcel, what_the_root_leads_to_arrives_and_the_rest_stays_behind)
{
    fief_runtime *from = open_usual();
    fief_unit unit = fief_unit_begin(from);
    tagged *all = make_content(from);
    fief_parcel *parcel = send_block(from, unit, all), *second = send_block(from, unit, all);
    cr_assert(parcel != NULL && second != NULL, "%s", error.text);
    cr_expect_eq(fief_parcel_blocks(parcel), 1 + 2 * NODES);
    cr_expect(content_is_whole(from, all, FIEF_COMPILER_ARENA), "the unit is as it was");
    fief_unit_end(from, unit);
    close_clean(from);

    fief_runtime *to = open_with((fief_config){.count_blocks = true});
    size_t size = fief_parcel_size(parcel);
    tagged *kept = receive(to, &parcel);
    cr_assert_not_null(kept, "%s", error.text);
    cr_expect_null(parcel);
    fief_count vm = fief_stats_strategy(to, FIEF_VM_ARENA);
    cr_expect_eq(vm.blocks, 1 + 2 * NODES);
    cr_expect_eq(vm.asked_bytes, size);
    cr_expect_eq(fief_stats_kind(to, PAIR).blocks, NODES);
    cr_expect_eq(fief_stats_kind(to, TEXT).blocks, NODES);
    unit = fief_unit_begin(to);
    tagged *brief = receive(to, &second);
    cr_assert_not_null(brief, "%s", error.text);
    cr_expect(content_is_whole(to, brief, FIEF_COMPILER_ARENA));
    fief_unit_end(to, unit);
    cr_expect(content_is_whole(to, kept, FIEF_VM_ARENA));
    cr_expect_eq(fief_stats_strategy(to, FIEF_COMPILER_ARENA).blocks, 0);
    close_clean(to);
}

Test(parcel, it_comes_back_to_its_sender_and_its_unit_can_be_kept)
{
    fief_runtime *rt = open_with((fief_config){.vm_arena = &recorded});
    fief_unit unit = fief_unit_begin(rt);
    tagged *all = make_content(rt);
    fief_parcel *parcel = send_block(rt, unit, all);
    tagged *copy = receive(rt, &parcel);
    cr_assert_not_null(copy, "%s", error.text);
    cr_expect(copy != all && content_is_whole(rt, copy, FIEF_COMPILER_ARENA));
    fill(all, sizeof *all, 3); /* nothing of the copy leads there */
    cr_expect(fief_unit_keep(rt, unit));
    cr_expect(content_is_whole(rt, copy, FIEF_VM_ARENA));
    close_clean(rt);
}

/* ---- sizes and pointers ---- */

Test(parcel, sizes_from_nothing_to_runs_and_pointers_to_their_ends)
{
    static const size_t sizes[] = {0, 1, 7, 8, 16, 4096, 70000, 300000, 5, 64};
    enum { BLOCKS = sizeof sizes / sizeof sizes[0] };
    fief_runtime *from = open_usual(), *to = open_usual();
    fief_unit unit = fief_unit_begin(from);
    tagged *all = new_block(from, TAGGED, sizeof *all + 2 * BLOCKS * sizeof(uint64_t));
    all->count = 2 * (uint64_t)BLOCKS;
    for (unsigned i = 0; i < BLOCKS; i++) {
        char *block = new_block(from, TEXT, sizes[i]);
        fill(block, sizes[i], i);
        all->words[2 * i] = TAG | (uint64_t)(uintptr_t)block;
        all->words[2 * i + 1] = TAG | (uint64_t)(uintptr_t)(block + sizes[i]);
    }
    fief_parcel *parcel =
        fief_unit_send(from, unit, &all->words[1], &(fief_parcel_config){.align = 256});
    cr_assert_not_null(parcel);
    fief_unit_end(from, unit);
    close_clean(from);
    uint64_t *words = receive(to, &parcel);
    cr_assert_not_null(words, "%s", error.text);
    words--; /* the root may lead inside */
    for (unsigned i = 0; i < BLOCKS; i++) {
        const char *block = target_of(words[2 * i]);
        cr_expect(holds(block, sizes[i], i) && is_multiple(block, 256));
        cr_expect_eq((const char *)target_of(words[2 * i + 1]), block + sizes[i]);
        cr_expect_eq(words[2 * i] & TAG, TAG);
    }
    close_clean(to);
}

/* Blocks that touch: the end of one is not the next one's start. */
Test(parcel, an_end_belongs_to_the_block_that_ends_there)
{
    enum { BLOCKS = 40, SIZE = 128 };
    fief_runtime *from = open_usual(), *to = open_usual();
    fief_unit unit = fief_unit_begin(from);
    char *block[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++) {
        block[i] = new_block(from, TEXT, i == BLOCKS / 2 ? 65536 : SIZE);
        cr_expect(i == 0 || block[i - 1] + SIZE != block[i]);
    }
    tagged *all = new_block(from, TAGGED, sizeof *all + 2 * sizeof(uint64_t));
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t size = i == BLOCKS / 2 ? 65536 : SIZE;
        all->count = 1;
        all->words[0] = TAG | (uint64_t)(uintptr_t)(block[i] + size);
        fief_parcel *parcel = send_block(from, unit, all);
        cr_assert_not_null(parcel, "%s", error.text);
        cr_expect_eq(fief_parcel_blocks(parcel), 2);
        cr_expect_eq(fief_parcel_size(parcel), size + sizeof *all + 2 * sizeof(uint64_t));
        fief_parcel_drop(&parcel);
    }
    fief_unit_end(from, unit);
    close_clean(from);
    close_clean(to);
}

static const char outside[] = "of the program";

Test(parcel, what_is_not_the_runtimes_stays_as_it_is)
{
    fief_runtime *from = open_usual(), *to = open_usual();
    fief_unit unit = fief_unit_begin(from);
    pair *p = new_block(from, PAIR, sizeof *p);
    *p = (pair){outside + 3, NULL, 7};
    fief_parcel *parcel = send_block(from, unit, p);
    cr_assert_not_null(parcel, "%s", error.text);
    pair *copy = receive(to, &parcel);
    cr_assert_not_null(copy);
    cr_expect(copy->text == outside + 3 && copy->next == NULL && copy->number == 7);
    fief_unit_end(from, unit);
    close_clean(from);
    close_clean(to);
}

static void must_refuse(fief_runtime *rt, fief_unit unit, const void *root, fief_status status,
                        const char *sentence)
{
    cr_expect_null(send_block(rt, unit, root));
    cr_expect_eq(error.status, status);
    cr_expect_str_eq(error.text, sentence);
}

Test(parcel, pointers_out_of_the_unit_are_refused_by_block_and_field)
{
    fief_runtime *rt = open_usual();
    void *native = fief_new(rt, NATIVE, FIEF_NATIVE, 40);
    void *cell = fief_new(rt, CELL, FIEF_DYNAMIC, 32), *item = fief_new(rt, ITEM, FIEF_DYNAMIC, 90);
    fief_unit unit = fief_unit_begin(rt);
    void *frame = fief_new(rt, FRAME, FIEF_DYNAMIC, 64);
    pair *first = new_block(rt, PAIR, sizeof *first), *second = new_block(rt, PAIR, sizeof *second);
    first->next = second;
    struct {
        void *target;
        const char *sentence;
    } cases[] = {
        {native, "'pair', 24 bytes, points at +8 out of the compiler arena: to the vm arena"},
        {cell, "'pair', 24 bytes, points at +8 out of the compiler arena: to cell"},
        {item, "'pair', 24 bytes, points at +8 out of the compiler arena: to the heap"},
        {frame, "'pair', 24 bytes, points at +8 out of the compiler arena: to the stack"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        second->next = cases[i].target;
        must_refuse(rt, unit, first, FIEF_POINTS_OUT, cases[i].sentence);
    }
    second->next = NULL;
    must_refuse(rt, unit, native, FIEF_POINTS_OUT, "the root is in no block of the compiler arena");
    must_refuse(rt, unit, NULL, FIEF_POINTS_OUT, "the root is in no block of the compiler arena");
    second->number = (uintptr_t)native;
    must_refuse(rt, unit, first, FIEF_POINTS_OUT,
                "'pair', 24 bytes, holds at +16 what may be a pointer to the vm arena; its kind"
                " does not declare one");
    second->number = 0;
    fief_parcel *parcel = send_block(rt, unit, first);
    cr_expect_not_null(parcel, "%s", error.text);
    fief_parcel_drop(&parcel);
    cr_expect_null(parcel);
    fief_parcel_drop(&parcel);
    fief_stack_pop(fief_frame_stack(rt), frame, 64);
    fief_unit_end(rt, unit);
    fief_free(rt, CELL, cell, 32);
    fief_free(rt, ITEM, item, 90);
    close_clean(rt);
}

/* ---- units ---- */

Test(parcel, only_the_innermost_unit_is_sent_with_the_blocks_of_those_around_it)
{
    fief_runtime *rt = open_usual(), *to = open_usual();
    fief_unit outer = fief_unit_begin(rt);
    pair *name = new_block(rt, PAIR, sizeof *name);
    name->number = 5;
    fief_unit inner = fief_unit_begin(rt);
    pair *p = new_block(rt, PAIR, sizeof *p);
    p->next = name;
    cr_expect_null(send_block(rt, outer, name));
    cr_expect_eq(error.status, FIEF_BAD_CONFIG);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_UNIT_ORDER));
    fief_parcel *parcel = send_block(rt, inner, p);
    cr_assert_not_null(parcel, "%s", error.text);
    fief_unit_end(rt, inner);
    cr_expect_null(send_block(rt, inner, name));
    cr_expect(witness_saw(&saw, FIEF_MISUSE_UNIT_ORDER));
    fief_unit_end(rt, outer);
    pair *copy = receive(to, &parcel);
    cr_assert_not_null(copy);
    cr_expect(copy->next->number == 5 && fief_owner(to, copy->next) == FIEF_VM_ARENA);
    close_clean(rt);
    close_clean(to);
}

static void count_call(void *count)
{
    ++*(int *)count;
}

Test(parcel, cleanups_stay_with_the_unit)
{
    fief_runtime *rt = open_usual(), *to = open_usual();
    int calls = 0;
    fief_unit unit = fief_unit_begin(rt);
    pair *p = new_block(rt, PAIR, sizeof *p);
    cr_assert(fief_arena_cleanup(fief_compiler_arena(rt), count_call, &calls));
    fief_parcel *parcel = send_block(rt, unit, p);
    cr_assert_not_null(receive(to, &parcel));
    close_clean(to);
    cr_expect_eq(calls, 0);
    fief_unit_end(rt, unit);
    cr_expect_eq(calls, 1);
    close_clean(rt);
}

/* ---- refusals ---- */

Test(parcel, an_arena_whose_blocks_are_not_known_is_refused)
{
    static const fief_arena_config plain = {0};
    static char buffer[4096];
    const fief_arena_config buffered = {
        .buffer = buffer, .buffer_size = sizeof buffer, .recorded = true};
    const fief_arena_config *configs[] = {&plain, &buffered};
    const char *sentences[] = {
        "the blocks of the compiler arena are not recorded: open it with .recorded",
        "the compiler arena has blocks in a caller's buffer, which is not copied"};
    for (int i = is_guarded() ? 1 : 0; i < 2; i++) {
        fief_runtime *rt = open_with((fief_config){.compiler_arena = configs[i]});
        fief_unit unit = fief_unit_begin(rt);
        pair *p = new_block(rt, PAIR, sizeof *p);
        must_refuse(rt, unit, p, FIEF_BAD_CONFIG, sentences[i]);
        fief_unit_end(rt, unit);
        close_clean(rt);
    }
}

static fief_parcel *parcel_of_content(void)
{
    fief_runtime *rt = open_usual();
    fief_unit unit = fief_unit_begin(rt);
    fief_parcel *parcel = send_block(rt, unit, make_content(rt));
    cr_assert_not_null(parcel, "%s", error.text);
    fief_unit_end(rt, unit);
    close_clean(rt);
    return parcel;
}

Test(parcel, another_table_of_kinds_is_refused_and_other_strategies_are_not)
{
    fief_kind other[KINDS], renamed[KINDS];
    memcpy(other, kinds, sizeof other);
    memcpy(renamed, kinds, sizeof renamed);
    other[PAIR].any = other[TEXT].any = FIEF_HEAP;
    renamed[TEXT].name = "string";
    fief_parcel *parcel = parcel_of_content();
    fief_runtime *rt = open_with((fief_config){.kinds = renamed});
    cr_expect_null(receive(rt, &parcel));
    cr_expect_eq(error.status, FIEF_OTHER_IMAGE);
    cr_expect_not_null(parcel);
    close_clean(rt);
    rt = open_with((fief_config){.kinds = other});
    tagged *all = receive(rt, &parcel);
    cr_assert_not_null(all, "%s", error.text);
    cr_expect(content_is_whole(rt, all, FIEF_VM_ARENA));
    cr_expect_null(receive(rt, &parcel), "twice");
    cr_expect_eq(error.status, FIEF_BAD_CONFIG);
    cr_expect_str_eq(error.text, "there is no parcel: it was received or dropped");
    cr_expect_null(fief_unit_receive(rt, &parcel, NULL));
    close_clean(rt);
}

Test(parcel, an_align_that_makes_no_sense_is_refused)
{
    fief_runtime *rt = open_usual();
    fief_unit unit = fief_unit_begin(rt);
    pair *p = new_block(rt, PAIR, sizeof *p);
    static const size_t wrong[] = {1, 8, 24, 8192};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        error = (fief_error){0};
        fief_parcel_config config = {.align = wrong[i], .error = &error};
        cr_expect_null(fief_unit_send(rt, unit, p, &config));
        cr_expect_eq(error.status, FIEF_BAD_CONFIG);
    }
    fief_unit_end(rt, unit);
    close_clean(rt);
}

/* ---- a visit that does what it must not ---- */

static fief_runtime *grown;

static void visit_growing(const void *block, size_t size, fief_pointers *ret_pointers)
{
    (void)size;
    for (unsigned i = 0; i < 5000; i++) {
        fief_pointer(ret_pointers, block, new_block(grown, OPAQUE, 64));
    }
}

Test(parcel, a_visit_that_makes_blocks_is_refused)
{
    fief_kind growing[KINDS];
    memcpy(growing, kinds, sizeof growing);
    growing[TAGGED].visit = visit_growing;
    fief_runtime *rt = grown = open_with((fief_config){.kinds = growing});
    fief_unit unit = fief_unit_begin(rt);
    must_refuse(rt, unit, new_block(rt, TAGGED, 64), FIEF_BAD_CONFIG,
                "the compiler arena grew while its kinds told their pointers");
    fief_unit_end(rt, unit);
    close_clean(rt);
}

/* One pointer when its targets are looked for; when it is copied, as many as `more` says. */
static unsigned visits, more;

static void visit_changing(const void *block, size_t size, fief_pointers *ret_pointers)
{
    (void)size;
    const void *const *words = block;
    for (unsigned i = 0; i < (visits == 0 ? 1 : more); i++) {
        fief_pointer(ret_pointers, &words[i], words[i]);
        fief_pointer(ret_pointers, &words[0], words[0]); /* told twice is told once */
    }
    visits++;
}

Test(parcel, a_visit_that_tells_more_the_second_time_is_refused)
{
    fief_kind changing[KINDS];
    memcpy(changing, kinds, sizeof changing);
    changing[TAGGED].visit = visit_changing;
    fief_runtime *rt = open_with((fief_config){.kinds = changing});
    fief_unit unit = fief_unit_begin(rt);
    void **words = new_block(rt, TAGGED, 64);
    for (unsigned i = 0; i < 8; i++) {
        words[i] = words;
    }
    more = 8;
    visits = 0;
    must_refuse(rt, unit, words, FIEF_BAD_CONFIG,
                "the visit of a kind does not tell the same twice");
    memset(words + 1, 0, 56);
    more = 1;
    visits = 0;
    fief_parcel *parcel = send_block(rt, unit, words);
    cr_assert_not_null(parcel, "%s", error.text);
    fief_parcel_drop(&parcel);
    fief_unit_end(rt, unit);
    close_clean(rt);
}

static void *receive_from_there(void *parcel)
{
    cr_expect_null(receive(grown, parcel));
    cr_expect_str_eq(error.text, "the calling thread does not own the runtime");
    return NULL;
}

Test(parcel, another_thread_receives_nothing_in_a_guarded_build)
{
    if (!is_guarded()) {
        return; /* nobody looks */
    }
    grown = open_usual();
    fief_parcel *parcel = parcel_of_content();
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, receive_from_there, &parcel), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect(witness_saw(&saw, FIEF_MISUSE_WRONG_THREAD));
    cr_assert_not_null(receive(grown, &parcel), "it is there still");
    close_clean(grown);
}

/* ---- no room ---- */

typedef struct asked {
    unsigned times, raises; /* the raising call */
    size_t seen;            /* bytes of the arena when it was asked */
} asked;

static asked question;

static bool raise_limit(fief_runtime *rt, size_t size, void *user)
{
    (void)user;
    question.seen = fief_arena_used(fief_vm_arena(rt));
    cr_expect_geq(size, 1000);
    return ++question.times == question.raises && fief_limit_set(rt, FIEF_VM_ARENA, 0);
}

/* All but how often the host was told no. */
static void count_all(const fief_runtime *rt, fief_count ret_counts[2 + KINDS])
{
    ret_counts[0] = fief_stats_strategy(rt, FIEF_VM_ARENA);
    ret_counts[1] = fief_stats_strategy(rt, FIEF_HEAP);
    for (unsigned kind = 0; kind < KINDS; kind++) {
        ret_counts[2 + kind] = fief_stats_kind(rt, kind);
    }
    for (size_t i = 0; i < 2 + KINDS; i++) {
        ret_counts[i].refused = 0;
    }
}

Test(parcel, without_room_nothing_is_made_and_the_parcel_can_be_tried_again)
{
    fief_parcel *parcel = parcel_of_content();
    size_t size = fief_parcel_size(parcel);
    fief_config config = {.limits = {[FIEF_VM_ARENA] = size / 2, [FIEF_HEAP] = 1}};
    config.on_full = raise_limit;
    question = (asked){.raises = 2};
    fief_runtime *rt = open_with(config);
    fief_mark before = fief_arena_mark(fief_vm_arena(rt));
    char *native = fief_new(rt, NATIVE, FIEF_NATIVE, 100);
    fill(native, 100, 4);
    size_t used = fief_arena_used(fief_vm_arena(rt));
    fief_count counts[2 + KINDS];
    count_all(rt, counts);
    cr_expect_null(receive(rt, &parcel));
    cr_expect_eq(error.status, FIEF_NO_MEMORY);
    fief_count after[2 + KINDS];
    count_all(rt, after);
    cr_expect_arr_eq(after, counts, sizeof counts, "nothing that was made was counted");
    cr_assert_not_null(parcel);
    cr_expect_eq(question.times, 1);
    cr_expect_eq(question.seen, used, "nothing of the parcel is there when the host is asked");
    fief_count vm = fief_stats_strategy(rt, FIEF_VM_ARENA);
    cr_expect(vm.blocks == 1 && vm.asked_bytes == 100);
    cr_expect_eq(fief_arena_used(fief_vm_arena(rt)), used);
    tagged *all = receive(rt, &parcel);
    cr_assert_not_null(all, "%s", error.text);
    cr_expect(content_is_whole(rt, all, FIEF_VM_ARENA) && holds(native, 100, 4));
    cr_expect_eq(fief_stats_strategy(rt, FIEF_VM_ARENA).asked_bytes, size + 100);
    fief_arena_rewind(fief_vm_arena(rt), before);
    cr_expect_eq(fief_arena_used(fief_vm_arena(rt)), 0);
    close_clean(rt);
}

/* ---- threads ---- */

enum { THREADS = 3, EACH = 20 };

static void *work(void *ret_parcels)
{
    fief_parcel **parcels = ret_parcels;
    for (int i = 0; i < EACH; i++) {
        fief_config config = {.kinds = kinds,
                              .kind_count = KINDS,
                              .reserve_bytes = small_reserve,
                              .compiler_arena = &recorded,
                              .recycle_range = true};
        fief_runtime *rt = fief_open(&config);
        fief_unit unit = fief_unit_begin(rt);
        parcels[i] = fief_unit_send(rt, unit, make_content(rt), NULL);
        fief_unit_end(rt, unit);
        (void)fief_close(rt);
    }
    return NULL;
}

Test(parcel, workers_send_and_one_runtime_receives)
{
    static fief_parcel *parcels[THREADS][EACH];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, work, parcels[i]), 0);
    }
    fief_runtime *rt = open_usual();
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        for (int n = 0; n < EACH; n++) {
            tagged *all = receive(rt, &parcels[i][n]);
            cr_assert_not_null(all, "%s", error.text);
            cr_expect(content_is_whole(rt, all, FIEF_VM_ARENA));
        }
    }
    close_clean(rt);
    (void)fief_trim_idle();
}
