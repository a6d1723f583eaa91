/* os/fake: a deterministic OS for tests: the n-th call that can fail, fails. */
#ifndef FIEF_FAKE_H
#define FIEF_FAKE_H

#include "os/os.h"

/* Fail the n-th failable call from now (1 is the next; 0 is never), once. */
void fake_fail_at(size_t n);
/* Failable calls made since fake_fail_at. */
size_t fake_calls(void);
/* Reserves not released yet. */
size_t fake_reserves(void);

/* Nodes of memory: so many, numbered from `first` in steps of `step`; the calling thread is on that
 * one. At first there is one, 0. */
void fake_nodes(unsigned count, unsigned first, unsigned step);
void fake_run_on(unsigned node);
/* How the byte's page is to be placed; calls of os_place since fake_fail_at. */
os_placement fake_placement(const void *address);
size_t fake_places(void);

/* Files, in memory: how many there are; one made or replaced, false where there is no room; its
 * bytes, which may be changed, NULL where there is none. */
size_t fake_files(void);
bool fake_write(const char *name, const void *bytes, size_t size);
unsigned char *fake_bytes(const char *name, size_t *ret_size);

#endif
