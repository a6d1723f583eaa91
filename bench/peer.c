#include "peer.h"

#include <fief/fief.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* dlsym gives an object pointer, which ISO C does not convert to a function's; POSIX says that the
 * bytes are the same. */
void peer_find(const char *name, void *ret_function, size_t size)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);
    memcpy(ret_function, &symbol, size);
}

peer peer_loaded(void)
{
    peer p;
    memset(&p, 0, sizeof p);
    p.take = malloc;
    p.give = free;
    peer_find("mi_free_size", &p.give_sized, sizeof p.give_sized);
    if (p.give_sized == NULL) {
        peer_find("tc_free_sized", &p.give_sized, sizeof p.give_sized);
    }
    peer_find("mallocx", &p.take_flags, sizeof p.take_flags);
    peer_find("sdallocx", &p.give_flags, sizeof p.give_flags);
    peer_find("mi_heap_new", &p.region_open, sizeof p.region_open);
    peer_find("mi_heap_malloc", &p.region_take, sizeof p.region_take);
    peer_find("mi_heap_destroy", &p.region_close, sizeof p.region_close);
    return p;
}

pass *peer_region_pass(const char *name)
{
    pass *found;
    peer_find(name, &found, sizeof found);
    return found;
}

static const char *file_of(const char *function)
{
    Dl_info info;
    void *symbol = dlsym(RTLD_DEFAULT, function);
    return symbol != NULL && dladdr(symbol, &info) != 0 ? info.dli_fname : NULL;
}

bool peer_write_identity(int descriptor)
{
    const char *malloc_file = file_of("malloc"), *fief_file = file_of("fief_open");
    fief_runtime *rt = fief_open(NULL);
    if (rt == NULL || malloc_file == NULL || fief_file == NULL) {
        return false;
    }
    /* Only a guarded library counts blocks without being asked to. */
    bool guarded = fief_stats_strategy(rt, FIEF_HEAP).blocks != FIEF_NOT_COUNTED;
    fief_close(rt);
    return dprintf(descriptor, "%s\n%s\n%s\n", malloc_file, fief_file,
                   guarded ? "guarded" : "release") > 0;
}
