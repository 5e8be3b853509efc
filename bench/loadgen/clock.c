/* Time, the CPU clocks of the measured processes, and latencies. */
#include "loadgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_PIDS 64

static clockid_t clocks[MAX_PIDS];
static int clock_count;

static uint32_t *samples; /* microseconds */
static size_t sample_count, sample_cap;
static bool samples_sorted;

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;
    if (clock_gettime(id, &t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t own_cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

/* Measure these processes from now on: decimal pids, separated by blanks. */
void watch_pids(const char *list)
{
    char *end;
    clock_count = 0;
    for (;;) {
        long pid = strtol(list, &end, 10);
        if (end == list || clock_count == MAX_PIDS)
            break;
        clockid_t id;
        if (clock_getcpuclockid((pid_t)pid, &id) == 0)
            clocks[clock_count++] = id;
        list = end;
    }
}

/* CPU time, user + system, of all threads (ended ones too) of the watched processes. */
uint64_t server_cpu_ns(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < clock_count; i++)
        sum += read_clock(clocks[i]);
    return sum;
}

void latency_reset(void)
{
    sample_count = 0;
    samples_sorted = false;
}

void latency_add(uint64_t ns)
{
    if (sample_count == sample_cap) {
        sample_cap = sample_cap ? sample_cap * 2 : 65536;
        samples = realloc(samples, sample_cap * sizeof *samples);
        if (!samples)
            abort();
    }
    uint64_t us = ns / 1000;
    samples[sample_count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
    samples_sorted = false;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* The nearest-rank quantile in milliseconds; 0 if nothing was measured. */
double latency_ms(double quantile)
{
    if (!sample_count)
        return 0;
    if (!samples_sorted)
        qsort(samples, sample_count, sizeof *samples, compare);
    samples_sorted = true;
    size_t rank = (size_t)(quantile * (double)sample_count + 0.999999);
    if (rank < 1)
        rank = 1;
    if (rank > sample_count)
        rank = sample_count;
    return samples[rank - 1] / 1000.0;
}

double latency_mean_ms(void)
{
    double sum = 0;
    for (size_t i = 0; i < sample_count; i++)
        sum += samples[i];
    return sample_count ? sum / (double)sample_count / 1000.0 : 0;
}
