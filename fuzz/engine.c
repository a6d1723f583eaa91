/* engine: the entry points of libFuzzer, for the target whose name the build gives. AFL++'s driver
 * calls the same. */
#include "lox.h"
#include "target.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t most, unsigned seed);
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

static uint64_t executions, operations;

static const target *own_target(void)
{
    static const target *own;
    own = own != NULL ? own : find_target(FUZZ_TARGET);
    return own;
}

/* At each doubling, so that a campaign can say how long its programs are. */
static void say_average(void)
{
    enum { FIRST = 1024 };
    if (executions >= FIRST && (executions & (executions - 1)) == 0) {
        fprintf(stderr, "fuzz: %llu executions, %llu operations on average\n",
                (unsigned long long)executions, (unsigned long long)(operations / executions));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    operations += target_run(own_target(), data, size).operations;
    executions++;
    say_average();
    return 0;
}

/* One time in ten the engine's own bytes, so that no input is out of reach; the texts of
 * operations more often. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    unsigned own = own_target()->is_text && !own_target()->is_lox ? 2 : 10;
    if (LLVMFuzzerMutate != NULL && seed % own == 0 && size != 0) {
        return LLVMFuzzerMutate(data, size, most);
    }
    return target_mutate(own_target(), data, size, most, seed);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
                                 uint8_t *out, size_t most, unsigned seed)
{
    static program first, second, both;
    dice d = {seed};
    if (own_target()->is_lox) {
        return lox_splice(a, a_size, b, b_size, out, most, &d);
    }
    if (own_target()->is_text) {
        size_t size = a_size < most ? a_size : most;
        memcpy(out, a, size);
        return size;
    }
    program_from_bytes(&first, a, a_size, own_target()->operations);
    program_from_bytes(&second, b, b_size, own_target()->operations);
    program_splice(&both, &first, &second, &d);
    return program_to_bytes(&both, out, most);
}
