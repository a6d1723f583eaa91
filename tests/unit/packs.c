/* packs: a trace whose writer is gone, an open block at its end, is ended by tools/trace/pack. */
#include "pack.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROOM = 8 << 10, SITE = 1, CLASS = 1, REGION = 1, EVERY_TAGS_OPERATIONS = 4 };

static unsigned char room[ROOM];
static char path[] = "/tmp/fief-packs-XXXXXX";

static bool is_full(encoder *e)
{
    (void)e;
    return false;
}

static encoder begin(unsigned char *at)
{
    return (encoder){.start = at, .cursor = at, .end = room + ROOM, .flush = is_full};
}

/* What events refer to, and one of each. */
static void every_tag(encoder *e)
{
    uint64_t frames[] = {0x401000, 0x402000}, numbers[] = {3, 7, 9};
    encode_info(e, "command", "nothing");
    encode_numbers(e, TAG_THREAD, numbers, 1, NULL);
    encode_numbers(e, TAG_MODULE, numbers, 3, "/lib/x.so");
    encode_numbers(e, TAG_KIND, numbers, 1, "node");
    encode_numbers(e, TAG_REGION, numbers, 2, "arena");
    encode_class(e, (trace_class){.verb = TRACE_NEW, .kind = 1, .region = REGION});
    encode_site(e, frames, 2, "main.lox:1");
    encode_time(e, 1000);
    encode_unit(e, "unit", SITE);
    encode_alloc(e, CLASS, 40, 0x10000, SITE);
    encode_resize(e, 0x10000, 4000, 0x20008, 0);
    encode_refused(e, CLASS, UINT64_MAX, SITE);
    encode_free(e, 0x20008, SITE);
    encode_numbers(e, TAG_MARK, NULL, 0, "here");
    encode_deaths(e, TAG_REWIND, REGION, 5, SITE);
    encode_deaths(e, TAG_UNIT_END, REGION, UINT64_MAX, 0);
    encode_deaths(e, TAG_RESET, REGION, 0, SITE);
    encode_deaths(e, TAG_REGION_END, REGION, 0, SITE);
    encode_numbers(e, TAG_CLOSE, NULL, 0, NULL);
}

static void open_header(unsigned char *to, uint64_t operations)
{
    trace_block_header(to, TRACE_OPEN, 0, (uint32_t)operations, (uint32_t)(operations >> 32));
}

static void write_file(size_t size)
{
    int file = mkstemp(path);
    cr_assert_geq(file, 0);
    cr_assert_eq(write(file, room, size), (ssize_t)size);
    cr_assert_eq(close(file), 0);
}

static trace_packed pack(void)
{
    char error[300] = "";
    trace_packed packed;
    trace_fact facts[] = {{"status", "0"}};
    cr_assert(trace_pack(path, true, facts, 1, &packed, error, sizeof error), "%s", error);
    return packed;
}

/* Reads the file to its end, and removes it. */
static trace *read_file(void)
{
    char error[300];
    trace *t = trace_open(path, error, sizeof error);
    cr_assert_not_null(t, "%s", error);
    for (trace_event e; trace_next(t, &e);) {
    }
    cr_assert_eq(unlink(path), 0);
    return t;
}

/* A file that has an open block alone; returns where its events begin. */
static unsigned char *open_alone(uint64_t operations)
{
    trace_file_header(room);
    open_header(room + TRACE_HEADER, operations);
    return room + TRACE_HEADER + TRACE_BLOCK_HEADER;
}

Test(packs, every_event_of_an_open_block_is_kept)
{
    encoder e = begin(open_alone(0));
    every_tag(&e);
    cr_assert_not(e.failed);
    write_file(ROOM);
    trace_packed packed = pack();
    cr_assert_eq(packed.operations, EVERY_TAGS_OPERATIONS);
    trace *t = read_file();
    cr_assert_null(trace_cut(t), "%s", trace_cut(t));
    cr_assert_eq(trace_operations(t), packed.operations);
    cr_assert_eq(trace_file_size(t), packed.size);
    cr_assert_eq(trace_modules(t), 1);
    cr_assert_str_eq(trace_info(t, "status"), "0");
    trace_close(t);
}

/* A process that ended within an event has not written its tag. */
Test(packs, an_event_without_its_tag_is_not_kept)
{
    encoder e = begin(open_alone(0));
    every_tag(&e);
    unsigned char *last = e.cursor;
    encode_free(&e, 0x30000, SITE);
    *last = TAG_NOTHING;
    write_file(ROOM);
    cr_assert_eq(pack().operations, EVERY_TAGS_OPERATIONS);
    trace *t = read_file();
    cr_assert_null(trace_cut(t), "%s", trace_cut(t));
    trace_close(t);
}

Test(packs, a_file_that_is_cut_anywhere_keeps_the_events_before)
{
    encoder e = begin(open_alone(0));
    every_tag(&e);
    size_t first = (size_t)(e.start - room), end = (size_t)(e.cursor - room);
    for (size_t size = first; size <= end; size++) {
        write_file(size);
        trace_packed packed = pack();
        trace *t = read_file();
        cr_assert_null(trace_cut(t), "at %zu: %s", size, trace_cut(t));
        cr_assert_eq(trace_operations(t), packed.operations);
        trace_close(t);
        memcpy(path + sizeof path - 7, "XXXXXX", 6);
    }
}

/* The blocks before the open one aren't counted again: its header is believed, and a reader
 * tells. */
Test(packs, the_open_blocks_header_has_the_count_of_those_before)
{
    unsigned char *at = room + TRACE_HEADER + TRACE_BLOCK_HEADER;
    encoder e = begin(at);
    every_tag(&e);
    size_t size = (size_t)(e.cursor - at);
    trace_file_header(room);
    trace_block_header(room + TRACE_HEADER, TRACE_RAW, size, size, trace_check(at, size));
    unsigned char *open = e.cursor;
    e = begin(open + TRACE_BLOCK_HEADER);
    encode_alloc(&e, CLASS, 40, 0x10000, SITE);
    for (uint64_t missing = 0; missing < 3; missing += 2) {
        open_header(open, EVERY_TAGS_OPERATIONS + missing);
        write_file(ROOM);
        cr_assert_eq(pack().operations, EVERY_TAGS_OPERATIONS + missing + 1);
        trace *t = read_file();
        cr_assert_eq(trace_operations(t), EVERY_TAGS_OPERATIONS + 1);
        cr_assert_eq(trace_cut(t) != NULL, missing > 0, "%s", trace_cut(t));
        trace_close(t);
        memcpy(path + sizeof path - 7, "XXXXXX", 6);
    }
}

/* The program whose memory it lies in may have written anywhere. */
Test(packs, an_open_block_of_any_bytes_packs_and_reads_up_to_what_makes_sense)
{
    uint32_t random = 1;
    for (int turn = 0; turn < 300; turn++) {
        encoder e = begin(open_alone(0));
        every_tag(&e);
        for (unsigned char *at = e.start; at < room + ROOM; at++) {
            random = random * 1664525 + 1013904223;
            bool is_hit = at >= e.cursor || random >> 24 < 8;
            *at = is_hit ? (unsigned char)(random >> 16) : *at;
        }
        write_file(ROOM);
        trace_packed packed = pack();
        trace *t = read_file();
        cr_assert_leq(trace_operations(t), packed.operations);
        cr_assert_leq(packed.size, ROOM + 200);
        trace_close(t);
        memcpy(path + sizeof path - 7, "XXXXXX", 6);
    }
}

Test(packs, a_trace_that_is_whole_stays_as_it_is)
{
    encoder e = begin(open_alone(0));
    every_tag(&e);
    write_file(ROOM);
    trace_packed once = pack(), again = pack();
    cr_assert_eq(again.size, once.size);
    cr_assert_eq(again.operations, once.operations);
    trace_close(read_file());
}

Test(packs, what_is_no_trace_is_refused_in_a_line)
{
    char error[300];
    trace_packed packed;
    write_file(ROOM);
    cr_assert_not(trace_pack(path, true, NULL, 0, &packed, error, sizeof error));
    cr_assert(strstr(error, "is not a trace") != NULL, "%s", error);
    cr_assert_eq(unlink(path), 0);
}
