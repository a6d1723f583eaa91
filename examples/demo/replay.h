/* replay: the blocks of one strategy once more, in the order in which the program made and dropped
 * them, on malloc and on Fief. Both zero what they hand out, as an interpreter asks for it, and
 * both are warm: what a pass gives back, the next one takes. Of calloc, and malloc with memset, the
 * faster one counts. */
#ifndef DEMO_REPLAY_H
#define DEMO_REPLAY_H

#include "lives.h"

typedef struct side {
    double nanoseconds; /* CPU time of the whole replay, median of the rounds */
    size_t peak_bytes;  /* in whole blocks: with headers and rounding */
} side;

typedef struct saving {
    size_t blocks, bytes; /* made, asked for */
    size_t frees_spared;  /* blocks that died with others, without a call for each */
    side malloc, fief;
    double ratio, spread; /* fief / malloc: median of the rounds' own, half their quartile range */
} saving;

saving replay(const lives *l, fief_strategy strategy, unsigned rounds, bool quick);

#endif
