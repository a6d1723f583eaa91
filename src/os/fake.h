/* os/fake: a deterministic OS for tests: the n-th call that can fail, fails. */
#ifndef FIEF_FAKE_H
#define FIEF_FAKE_H

#include <stddef.h>

/* Fail the n-th failable call from now (1 is the next; 0 is never), once. */
void fake_fail_at(size_t n);
/* Failable calls made since fake_fail_at. */
size_t fake_calls(void);
/* Reserves not released yet. */
size_t fake_reserves(void);

#endif
