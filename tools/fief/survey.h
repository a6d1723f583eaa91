/* survey: a trace read twice and gathered for a page: at most 600 moments, 50 slices of time,
 * 8 series in 3 groupings, whatever the trace's length.
 *
 * A moment is the highest one of its stretch of operations, so that a curve through them shows each
 * peak. Stretches are powers of two long: the first reading doubles them whenever there are too
 * many, the second one takes what lives by series at just those moments. */
#ifndef FIEF_TOOL_SURVEY_H
#define FIEF_TOOL_SURVEY_H

#include "habits.h"
#include "pagemap.h"
#include "play.h"

enum {
    MOMENTS_MOST = 600,
    SLICE_MOMENTS = 12,
    SLICES_MOST = MOMENTS_MOST / SLICE_MOMENTS,
    COLUMNS = 120,
    SIZES = 32,
    ALIVE = AGES
};
enum { BY_STRATEGY, BY_KIND, BY_SITE };

typedef struct moment {
    uint64_t operation, time, bytes, held; /* held: pages with something alive in them */
    uint64_t by[GROUPINGS][SERIES];
} moment;

typedef struct cell {
    uint64_t blocks, bytes;
} cell;

/* What a place made in a slice. */
typedef struct share {
    uint32_t place, slice;
    uint64_t blocks, bytes;
} share;

typedef struct unit_lane {
    const char *name;
    uint64_t began, ended, died, bytes, live, escaped; /* operations; blocks */
    uint64_t born;
    uint32_t depth;
    bool open;
} unit_lane;

typedef struct remark {
    uint64_t operation;
    trace_type type;
    const char *text;
} remark;

typedef struct survey {
    trace *t; /* read to its end: names and facts */
    symbols *symbols;
    places *places;
    habits habits;
    pagemap *pages;
    char path[300];
    uint64_t operations, time, refused, live;
    unsigned stretch_log2; /* of the operations to a moment */
    moment moments[MOMENTS_MOST + 1];
    size_t moment_count, peak, slices; /* peak: the index of the highest moment */
    char series[GROUPINGS][SERIES][200];
    unsigned series_count[GROUPINGS];
    owners *owners;                          /* by place */
    char *columns[GROUPINGS][COLUMNS];       /* each a row's letter: see survey_column */
    cell ages[SLICES_MOST][SIZES][AGES + 1]; /* by the slice of birth; ALIVE: at the end */
    share *shares;
    size_t share_count, share_room;
    cell *pending; /* by place, of the slice that is being read */
    unit_lane *units;
    size_t unit_count, unit_room;
    remark *remarks;
    size_t remark_count, remark_room;
    uint32_t open_units;
    play_steps *steps; /* what the second reading fills on its way, or NULL */
} survey;

/* The status; said why. `steps` are open, and to be ended by the caller; or NULL. */
int survey_read(survey *s, const char *path, play_steps *steps);
void survey_close(survey *s);
size_t survey_slice_of(const survey *s, uint64_t operation);

#endif
