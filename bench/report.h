/* report: the results as a table for people, or as one JSON object a line for programs. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "results.h"

void report_table(const results *r, const char *name, const char *about);
void report_json(const results *r, const char *name);

/* One line for each target that is missed, then how many were met; returns how many were missed. */
size_t report_verdicts(const results *r);

#endif
