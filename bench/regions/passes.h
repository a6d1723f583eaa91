/* The two passes over a peer's OPEN, TAKE(size) and DROP, for C and C++. */
#ifndef BENCH_PASSES_H
#define BENCH_PASSES_H

#define REGION_PASSES                                             \
    void region_pass_24(void *state, size_t count)                \
    {                                                             \
        const region_job *job = (const region_job *)state;        \
        for (OPEN; count > 0; count--) {                          \
            for (size_t i = 0; i < job->objects; i++) {           \
                region_store(TAKE((size_t)24), i);                \
            }                                                     \
            DROP;                                                 \
        }                                                         \
    }                                                             \
    void region_pass_mix(void *state, size_t count)               \
    {                                                             \
        const region_job *job = (const region_job *)state;        \
        for (OPEN; count > 0; count--) {                          \
            for (size_t i = 0; i < job->objects; i++) {           \
                region_store(TAKE((size_t)job->sizes[i]), i);     \
            }                                                     \
            DROP;                                                 \
        }                                                         \
    }

#endif
