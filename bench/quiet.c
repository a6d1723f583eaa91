#include "quiet.h"

#include "measure.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { REFERENCE_TURNS = 300000, CALIBRATIONS = 600, PAUSE_NANOSECONDS = 5000000 };
static const double slow_factor = 1.2, best_part = 0.05;

static double seconds_of(int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

/* The first line of /proc/stat: "cpu user nice system idle iowait irq softirq ...", in ticks. */
static double busy_ticks(FILE *from)
{
    double user, nice, system, idle, wait, irq, softirq;
    int found = fscanf(from, "cpu %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle, &wait,
                       &irq, &softirq);
    return found == 7 ? user + nice + system + irq + softirq : not_counted();
}

double others_seconds(void)
{
    FILE *from = fopen("/proc/stat", "r");
    if (from == NULL) {
        return not_counted();
    }
    double all = busy_ticks(from) / (double)sysconf(_SC_CLK_TCK);
    fclose(from);
    return all - seconds_of(RUSAGE_SELF) - seconds_of(RUSAGE_CHILDREN);
}

/* Six chains that have nothing to do with each other keep a core's arithmetic units busy, which is
 * what a second user of the core takes away. */
static void spin(void)
{
    uint64_t a = 1, b = 2, c = 3, d = 4, e = 5, f = 6;
    for (uint64_t i = 0; i < REFERENCE_TURNS; i++) {
        a = (a ^ i) + 1;
        b = (b ^ i) + 2;
        c = (c ^ i) + 3;
        d = (d ^ i) + 4;
        e = (e ^ i) + 5;
        f = (f ^ i) + 6;
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
    }
}

double reference_time(void)
{
    uint64_t start = clock_now();
    spin();
    return (double)(clock_now() - start);
}

double reference_best(void)
{
    struct timespec pause = {.tv_nsec = PAUSE_NANOSECONDS};
    static double readings[CALIBRATIONS];
    for (size_t i = 0; i < CALIBRATIONS; i++) {
        readings[i] = reference_time();
        nanosleep(&pause, NULL);
    }
    return quantile_of(readings, CALIBRATIONS, best_part);
}

bool reference_is_slow(double reading, double best)
{
    return reading > slow_factor * best;
}
