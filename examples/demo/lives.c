#include "lives.h"

#include "vm.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Open addressing; a slot is free where block is NULL. At most half of them are taken. */
typedef struct place {
    const void *block;
    uint32_t life;
    size_t size;
} place;

static void *must(void *block)
{
    if (block == NULL) {
        fputs("patterns: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return block;
}

/* ---- block -> life ---- */

static size_t home_of(const lives *l, const void *block)
{
    return (size_t)(((uintptr_t)block >> 3) * 0x9E3779B97F4A7C15u >> 20) & (l->place_room - 1);
}

/* Its slot, or the free one where it would go. */
static place *find(const lives *l, const void *block)
{
    size_t at = home_of(l, block);
    while (l->places[at].block != NULL && l->places[at].block != block) {
        at = (at + 1) & (l->place_room - 1);
    }
    return &l->places[at];
}

static void places_grow(lives *l)
{
    lives larger = *l;
    larger.place_room = l->place_room != 0 ? 2 * l->place_room : 1024;
    larger.places = must(calloc(larger.place_room, sizeof(place)));
    for (size_t i = 0; i < l->place_room; i++) {
        if (l->places[i].block != NULL) {
            *find(&larger, l->places[i].block) = l->places[i];
        }
    }
    free(l->places);
    *l = larger;
}

static void put(lives *l, const void *block, uint32_t life, size_t size)
{
    if (2 * l->place_count >= l->place_room) {
        places_grow(l);
    }
    *find(l, block) = (place){block, life, size};
    l->place_count++;
}

/* What follows moves up, so that no search ends too early. */
static void take(lives *l, place *found)
{
    size_t at = (size_t)(found - l->places);
    l->places[at].block = NULL;
    l->place_count--;
    for (;;) {
        at = (at + 1) & (l->place_room - 1);
        place moved = l->places[at];
        if (moved.block == NULL) {
            return;
        }
        l->places[at].block = NULL;
        *find(l, moved.block) = moved;
    }
}

/* ---- the watcher ---- */

static void add_event(lives *l, event e)
{
    if (l->event_count == l->event_room) {
        l->event_room = l->event_room != 0 ? 2 * l->event_room : 1024;
        l->events = must(realloc(l->events, l->event_room * sizeof *l->events));
    }
    l->events[l->event_count++] = e;
}

static void add_block_event(lives *l, what what, uint32_t id, size_t old_size, size_t size)
{
    const life *one = &l->all[id];
    add_event(
        l, (event){(uint8_t)what, (uint8_t)one->kind, (uint8_t)one->context, id, old_size, size});
}

static void on_born(void *user, kind kind, unsigned context, const void *block, size_t size)
{
    lives *l = user;
    if (l->count == l->life_room) {
        l->life_room = l->life_room != 0 ? 2 * l->life_room : 1024;
        l->all = must(realloc(l->all, l->life_room * sizeof *l->all));
    }
    uint32_t id = (uint32_t)l->count++;
    l->clock += size;
    l->all[id] = (life){.kind = kind,
                        .strategy = mem_strategy_of(kind, context),
                        .context = context,
                        .bytes = size,
                        .born = l->clock};
    put(l, block, id, size);
    add_block_event(l, BORN, id, 0, size);
}

static end end_of(const lives *l, const life *one)
{
    return one->strategy == FIEF_COMPILER_ARENA ? END_UNIT
           : one->strategy == FIEF_STACK        ? END_POP
           : l->is_closing                      ? END_CLOSE
                                                : END_FREE;
}

/* Blocks that nobody saw the birth of are all-heap's own lists, which no arena needs. */
static void on_died(void *user, const void *block)
{
    lives *l = user;
    place *found = block != NULL && l->place_room != 0 ? find(l, block) : NULL;
    if (found == NULL || found->block == NULL) {
        return;
    }
    life *one = &l->all[found->life];
    one->age = l->clock - one->born;
    one->end = end_of(l, one);
    add_block_event(l, DIED, found->life, found->size, 0);
    take(l, found);
}

static void on_resized(void *user, kind kind, const void *from, const void *to, size_t size)
{
    lives *l = user;
    if (from == NULL) {
        on_born(user, kind, FIEF_DYNAMIC, to, size);
        return;
    }
    place was = *find(l, from);
    size_t grown = size > was.size ? size - was.size : 0;
    l->clock += grown;
    l->all[was.life].bytes += grown;
    take(l, find(l, from));
    put(l, to, was.life, size);
    add_block_event(l, RESIZED, was.life, was.size, size);
}

static void on_unit(void *user, bool begins)
{
    add_event(user, (event){.what = begins ? UNIT_BEGAN : UNIT_ENDED});
}

/* ---- the run ---- */

/* Points stdout elsewhere; returns what it was. */
static int stdout_to(int descriptor)
{
    fflush(stdout);
    int was = dup(STDOUT_FILENO);
    if (was < 0 || descriptor < 0 || dup2(descriptor, STDOUT_FILENO) < 0) {
        perror("patterns");
        exit(EXIT_FAILURE);
    }
    close(descriptor);
    return was;
}

bool lives_record(lives *l, const char *path)
{
    static vm vm;
    mem_watcher watcher = {on_born, on_resized, on_died, on_unit, l};
    vm_options options = {.memory = {.all_heap = true, .on_fief = true, .watcher = &watcher},
                          .frees_all = true};
    *l = (lives){0};
    if (!vm_open(&vm, &options)) {
        return false;
    }
    int was = stdout_to(open("/dev/null", O_WRONLY));
    outcome result = vm_interpret_file(&vm, path);
    close(stdout_to(was));
    l->is_closing = true;
    return vm_close(&vm) == 0 && result == OUTCOME_OK;
}

void lives_close(lives *l)
{
    free(l->all);
    free(l->events);
    free(l->places);
}
