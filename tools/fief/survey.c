/* survey: see survey.h. */
#include "survey.h"

#include <stdlib.h>

static int no_memory(void)
{
    return complain(CANNOT_RUN, "there is no memory for the trace");
}

/* Room for one more; a new item is zero. */
static bool make_room(void *items, size_t count, size_t *room, size_t size)
{
    void **list = items;
    if (count == *room) {
        size_t more = *room != 0 ? *room * 2 : 64;
        void *grown = realloc(*list, more * size);
        if (grown == NULL) {
            return false;
        }
        *list = grown;
        *room = more;
    }
    memset((char *)*list + count * size, 0, size);
    return true;
}

/* ---- the first reading ---- */

/* Two stretches become one; the higher moment stays. */
static void double_stretch(survey *s)
{
    size_t kept = 0;
    s->stretch_log2++;
    for (size_t i = 0; i < s->moment_count; i += 2) {
        const moment *a = &s->moments[i], *b = &s->moments[i + 1];
        bool takes_second = i + 1 < s->moment_count && b->bytes > a->bytes;
        s->moments[kept++] = takes_second ? *b : *a;
    }
    s->moment_count = kept;
}

/* The moments of stretches in which nothing was made are what lived there: their first
 * operation. */
static void note_moment(survey *s, const trace_event *e)
{
    uint64_t at = e->operation > 0 ? e->operation - 1 : 0, live = s->live;
    while (at >> s->stretch_log2 >= MOMENTS_MOST) {
        double_stretch(s);
    }
    size_t index = (size_t)(at >> s->stretch_log2);
    while (s->moment_count <= index) {
        s->moments[s->moment_count++] = (moment){.operation = e->operation,
                                                 .time = e->time,
                                                 .bytes = live,
                                                 .held = pagemap_held(s->pages)};
    }
    moment *m = &s->moments[index];
    if (live > m->bytes && (e->type == TRACE_ALLOC || e->type == TRACE_RESIZE)) {
        *m = (moment){.operation = e->operation,
                      .time = e->time,
                      .bytes = live,
                      .held = pagemap_held(s->pages)};
    }
}

static bool move_pages(survey *s, const trace_event *e, owners whose)
{
    bool sound = true;
    if (e->type != TRACE_ALLOC) {
        sound = pagemap_put(s->pages, e->old_address, e->old_size, -1, whose);
    }
    if (e->type == TRACE_ALLOC || e->type == TRACE_RESIZE) {
        sound = sound && pagemap_put(s->pages, e->address, e->size, 1, whose);
    }
    return sound;
}

static bool first_event(survey *s, closing *c, const trace_event *e)
{
    bool sound = true;
    closing_event(c, e);
    s->refused += e->type == TRACE_REFUSED;
    if (e->block != NULL) {
        s->live += e->size - e->old_size;
        if (e->type == TRACE_ALLOC) {
            e->block->user = places_pair(s->places, e->block->site, e->block->class_number);
            sound = e->block->user != PLACES_NONE;
        }
        if (sound) {
            places_count(s->places, (uint32_t)e->block->user, (int64_t)(e->size - e->old_size),
                         e->type == TRACE_ALLOC);
        }
        sound = sound && move_pages(s, e, (owners){{0}});
    }
    note_moment(s, e);
    return sound;
}

static bool read_first(survey *s, closing *c)
{
    bool sound = true;
    for (trace_event e; sound && trace_next(s->t, &e);) {
        sound = first_event(s, c, &e);
        show_progress(s->t, "reading");
    }
    end_progress();
    for (size_t i = 0; i < s->moment_count; i++) {
        s->peak = s->moments[i].bytes > s->moments[s->peak].bytes ? i : s->peak;
    }
    s->operations = trace_operations(s->t);
    s->time = trace_time(s->t);
    s->slices = (s->moment_count + SLICE_MOMENTS - 1) / SLICE_MOMENTS;
    return sound;
}

size_t survey_slice_of(const survey *s, uint64_t operation)
{
    size_t slice = operation > 0 ? (size_t)((operation - 1) >> s->stretch_log2) / SLICE_MOMENTS : 0;
    return slice < s->slices ? slice : s->slices - 1;
}

/* ---- series ---- */

static const char *series_name(const place *p, int grouping, char *buffer, size_t size)
{
    if (grouping == BY_STRATEGY) {
        return trace_strategy_name(p->strategy);
    }
    if (grouping == BY_KIND) {
        return p->kind[0] != '\0' ? p->kind : "(no kind)";
    }
    place_text(p, buffer, size);
    return buffer;
}

/* Places come with the largest first, so the first that have no series yet get the first ones. */
static void choose_series(survey *s, int grouping)
{
    unsigned *count = &s->series_count[grouping];
    for (uint32_t i = 0; i < places_total(s->places); i++) {
        char buffer[200];
        const char *name = series_name(places_at(s->places, i), grouping, buffer, sizeof buffer);
        unsigned at = 0;
        while (at < *count && strcmp(s->series[grouping][at], name) != 0) {
            at++;
        }
        if (at == *count && *count < SERIES - 1) {
            (void)snprintf(s->series[grouping][(*count)++], 200, "%s", name);
        } else if (at == *count) {
            (void)snprintf(s->series[grouping][SERIES - 1], 200, "everything else");
            at = SERIES - 1;
        }
        s->owners[i].series[grouping] = (uint8_t)at;
    }
    *count += s->series[grouping][SERIES - 1][0] != '\0' && *count == SERIES - 1;
}

/* ---- the second reading ---- */

typedef struct second {
    uint64_t by[GROUPINGS][SERIES];
    size_t next_moment, slice, column;
    uint64_t column_end; /* its last operation */
} second;

/* A column is a letter a row: 'a' + series where it holds little, 'A' + series where half and more
 * is in use, '.' where nothing is. */
static bool draw_column(survey *s, size_t column)
{
    for (unsigned g = 0; g < GROUPINGS; g++) {
        unsigned rows = pagemap_rows(s->pages);
        char *letters = calloc(rows + 1u, 1);
        if (letters == NULL) {
            return false;
        }
        for (unsigned i = 0; i < rows; i++) {
            bool filled;
            int owner = pagemap_owner(s->pages, i, g, &filled);
            letters[i] = (char)(owner < 0 ? '.' : (filled ? 'A' : 'a') + owner);
        }
        s->columns[g][column] = letters;
    }
    return true;
}

static uint64_t column_end(const survey *s, size_t column)
{
    return (column + 1) * s->operations / COLUMNS;
}

static bool end_slice(survey *s, size_t slice)
{
    for (uint32_t i = 0; i < places_total(s->places); i++) {
        if (s->pending[i].blocks > 0 || s->pending[i].bytes > 0) {
            if (!make_room(&s->shares, s->share_count, &s->share_room, sizeof *s->shares)) {
                return false;
            }
            s->shares[s->share_count++] =
                (share){i, (uint32_t)slice, s->pending[i].blocks, s->pending[i].bytes};
            s->pending[i] = (cell){0};
        }
    }
    return true;
}

static bool begin_unit(survey *s, const trace_event *e)
{
    bool sound = make_room(&s->units, s->unit_count, &s->unit_room, sizeof *s->units);
    if (sound) {
        s->units[s->unit_count++] = (unit_lane){
            .name = e->text, .began = e->operation, .open = true, .depth = s->open_units++};
    }
    return sound;
}

static void count_unit(survey *s, const trace_event *e, uint32_t ending)
{
    const trace_block *b = e->block;
    unit_lane *born = b->unit != 0 && b->unit <= s->unit_count ? &s->units[b->unit - 1] : NULL;
    unit_lane *ends = ending != 0 && ending <= s->unit_count ? &s->units[ending - 1] : NULL;
    if (born != NULL && e->type == TRACE_ALLOC) {
        born->live++;
        born->born++;
    } else if (born != NULL && e->type != TRACE_RESIZE) {
        born->live--;
    }
    if (ends != NULL && e->type == TRACE_DIES) {
        ends->died++;
        ends->bytes += e->old_size;
        ends->escaped -= ends == born;
    }
}

static bool note_remark(survey *s, const trace_event *e)
{
    bool sound = make_room(&s->remarks, s->remark_count, &s->remark_room, sizeof *s->remarks);
    if (sound) {
        const trace_region *r = trace_region_at(s->t, e->region);
        s->remarks[s->remark_count++] = (remark){e->operation, e->type,
                                                 e->text != NULL ? e->text
                                                 : r != NULL     ? r->name
                                                                 : ""};
    }
    return sound;
}

/* What has no block of its own; `ending` is the unit whose blocks die behind it. */
static bool other_event(survey *s, const trace_event *e, uint32_t *ending)
{
    *ending = 0;
    switch (e->type) {
    case TRACE_UNIT:
        return begin_unit(s, e);
    case TRACE_UNIT_END:
        if (e->unit != 0 && e->unit <= s->unit_count) {
            unit_lane *u = &s->units[e->unit - 1];
            u->ended = e->operation;
            u->escaped = u->live;
            u->open = false;
            s->open_units -= s->open_units > 0;
            *ending = e->unit;
        }
        return true;
    case TRACE_RESET:
    case TRACE_MARK:
    case TRACE_CLOSE:
        return note_remark(s, e);
    default:
        return true;
    }
}

static cell *age_cell(survey *s, const trace_block *b, uint64_t size, unsigned age)
{
    unsigned log = log2_of(size);
    return &s->ages[survey_slice_of(s, b->born_operation)][log < SIZES ? log : SIZES - 1][age];
}

static void block_event(survey *s, second *now, const trace_event *e, uint32_t number)
{
    const owners *whose = &s->owners[number];
    s->live += e->size - e->old_size;
    cell *made = &s->pending[number];
    for (int g = 0; g < GROUPINGS; g++) {
        now->by[g][whose->series[g]] += e->size - e->old_size;
    }
    made->blocks += e->type == TRACE_ALLOC;
    made->bytes += e->size > e->old_size ? e->size - e->old_size : 0;
    if (e->type == TRACE_FREE || e->type == TRACE_DIES) {
        unsigned age = log2_of(e->operation - e->block->born_operation);
        cell *c = age_cell(s, e->block, e->old_size, age < AGES ? age : AGES - 1);
        c->blocks++;
        c->bytes += e->old_size;
    }
}

static bool counted(survey *s, const trace_event *e, uint32_t number)
{
    if (s->steps != NULL) {
        steps_event(s->steps, s->t, e, number);
    }
    return habits_event(&s->habits, s->t, e, number);
}

static bool second_event(survey *s, second *now, const trace_event *e, uint32_t *ending)
{
    uint32_t number = 0;
    bool sound = true;
    while (now->slice < survey_slice_of(s, e->operation) && sound) {
        sound = end_slice(s, now->slice++);
    }
    while (sound && now->column < COLUMNS && now->column_end < e->operation) {
        sound = draw_column(s, now->column++);
        now->column_end = column_end(s, now->column);
    }
    if (e->block == NULL) {
        return sound && other_event(s, e, ending) && counted(s, e, number);
    }
    *ending = e->type == TRACE_DIES ? *ending : 0;
    if (e->type == TRACE_ALLOC) {
        e->block->user = places_pair(s->places, e->block->site, e->block->class_number);
    }
    number = places_of(s->places, e->block->user);
    block_event(s, now, e, number);
    count_unit(s, e, *ending);
    return sound && move_pages(s, e, s->owners[number]) && counted(s, e, number);
}

/* A moment may stand for several stretches in which nothing happened. */
static void take_moments(survey *s, second *now, const trace_event *e)
{
    moment *m = &s->moments[now->next_moment];
    while (now->next_moment < s->moment_count && m->operation <= e->operation &&
           s->live == m->bytes) {
        memcpy(m->by, now->by, sizeof now->by);
        now->next_moment++;
        m++;
    }
}

static void count_left(trace_block *b, void *argument)
{
    survey *s = argument;
    cell *c = age_cell(s, b, b->size, ALIVE);
    c->blocks++;
    c->bytes += b->size;
}

static bool read_second(survey *s)
{
    second now = {.column_end = column_end(s, 0)};
    uint32_t ending = 0;
    bool sound = true;
    for (trace_event e; sound && trace_next(s->t, &e);) {
        sound = second_event(s, &now, &e, &ending);
        take_moments(s, &now, &e);
        show_progress(s->t, "counting");
    }
    end_progress();
    sound = sound && end_slice(s, now.slice);
    while (sound && now.column < COLUMNS) {
        sound = draw_column(s, now.column++);
    }
    trace_each_live(s->t, count_left, s);
    return sound;
}

/* ---- both ---- */

static int survey_again(survey *s, const closing *c)
{
    s->symbols = symbols_find(s->t);
    if (s->symbols == NULL || !places_name(s->places, s->t, s->symbols, false) ||
        !pagemap_fold(s->pages)) {
        return no_memory();
    }
    uint32_t count = places_total(s->places);
    s->owners = calloc((size_t)count + 1, sizeof *s->owners);
    s->pending = calloc((size_t)count + 1, sizeof *s->pending);
    if (s->owners == NULL || s->pending == NULL || !habits_open(&s->habits, count, c->start)) {
        return no_memory();
    }
    for (int g = 0; g < GROUPINGS; g++) {
        choose_series(s, g);
    }
    trace_close(s->t);
    s->t = open_trace(s->path);
    s->live = 0;
    if (s->t == NULL) {
        return BAD_INPUT;
    }
    return read_second(s) ? DONE : no_memory();
}

int survey_read(survey *s, const char *path, play_steps *steps)
{
    closing c = {0};
    memset(s, 0, sizeof *s);
    s->steps = steps;
    (void)snprintf(s->path, sizeof s->path, "%s", path);
    s->t = open_trace(path);
    if (s->t == NULL) {
        return BAD_INPUT;
    }
    s->places = places_new();
    s->pages = pagemap_new();
    if (s->places == NULL || s->pages == NULL || !read_first(s, &c)) {
        return no_memory();
    }
    if (s->operations == 0) {
        return complain(BAD_INPUT, "%s: has no operations", path);
    }
    return survey_again(s, &c);
}

void survey_close(survey *s)
{
    for (int g = 0; g < GROUPINGS; g++) {
        for (int i = 0; i < COLUMNS; i++) {
            free(s->columns[g][i]);
        }
    }
    habits_close(&s->habits);
    places_free(s->places);
    pagemap_free(s->pages);
    symbols_free(s->symbols);
    free(s->owners);
    free(s->pending);
    free(s->shares);
    free(s->units);
    free(s->remarks);
    trace_close(s->t);
}
