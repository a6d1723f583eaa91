/* peak: the peak resident memory of this process, for who compares two of them. */
#ifndef FIEF_EXAMPLES_PEAK_H
#define FIEF_EXAMPLES_PEAK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes KiB and a newline to the descriptor: the kernel's figure, which also covers what the
 * allocator holds in reserve. Linux only; elsewhere nothing. */
static inline void peak_write(int descriptor)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[256], path[64];
    snprintf(path, sizeof path, "/dev/fd/%d", descriptor);
    FILE *out = fopen(path, "a");
    while (status != NULL && out != NULL && fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) {
            fprintf(out, "%lu\n", strtoul(line + 6, NULL, 10));
        }
    }
    if (status != NULL) {
        fclose(status);
    }
    if (out != NULL) {
        fclose(out);
    }
}

#endif
