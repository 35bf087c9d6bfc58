/* SPDX-License-Identifier: Apache-2.0 */
/* What single OpenCL calls cost. An ordinary OpenCL program: each line `round` on its input makes
 * it print one round, `name wall cpu` per line (ns per call) and an empty line. bench.py runs one
 * natively and one under the shim, a round of each in turn. With a number it does so on that many
 * threads at once, each on objects of its own; `cpu` is then the mean of all threads. With --count
 * it instead runs under callgrind, which counts the instructions of each benchmark's loop apart. */
#include "calls.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT
#define CALLGRIND_DUMP_STATS_AT(name)
#endif

static pthread_barrier_t start, end;
static const struct benchmark *next; /* what the threads run when they pass `start` */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static double cpu_seconds; /* of all threads; guarded by lock */

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void run_one(const struct benchmark *it)
{
    double cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
    it->run(it->n);
    cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
    pthread_mutex_lock(&lock);
    cpu_seconds += cpu;
    pthread_mutex_unlock(&lock);
}

static void *run_thread(void *unused)
{
    calls_set_up_thread();
    pthread_barrier_wait(&end);
    for (;;) {
        pthread_barrier_wait(&start);
        run_one(next);
        pthread_barrier_wait(&end);
    }
    return NULL;
}

static void start_threads(unsigned threads)
{
    pthread_barrier_init(&start, NULL, threads + 1);
    pthread_barrier_init(&end, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, run_thread, NULL) != 0)
            exit(1);
    }
    pthread_barrier_wait(&end);
}

static void run_in_threads(const struct benchmark *it)
{
    next = it;
    pthread_barrier_wait(&start);
    pthread_barrier_wait(&end);
}

/* Without threads the only one that runs is the first. */
static void print_round(unsigned threads)
{
    for (size_t i = 0; i < num_benchmarks; i++) {
        const struct benchmark *it = &benchmarks[i];
        double wall = seconds(CLOCK_MONOTONIC);
        cpu_seconds = 0;
        if (threads)
            run_in_threads(it);
        else
            run_one(it);
        wall = seconds(CLOCK_MONOTONIC) - wall;
        double calls = (double)it->n * (threads ? threads : 1);
        printf("%s\t%.3f\t%.3f\n", it->name, wall * 1e9 / (double)it->n, cpu_seconds * 1e9 / calls);
    }
    printf("\n");
    fflush(stdout);
}

static void count_all(void)
{
    for (size_t i = 0; i < num_benchmarks; i++) {
        const struct benchmark *it = &benchmarks[i];
        char name[80];
        it->run(256);
        snprintf(name, sizeof name, "%s\t%ld", it->name, it->counted);
        CALLGRIND_TOGGLE_COLLECT;
        it->run(it->counted);
        CALLGRIND_TOGGLE_COLLECT;
        CALLGRIND_DUMP_STATS_AT(name);
    }
}

int main(int argc, char **argv)
{
    char line[64];
    unsigned threads = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    calls_set_up();
    if (threads)
        start_threads(threads);
    else
        calls_set_up_thread();
    if (argc > 1 && strcmp(argv[1], "--count") == 0) {
        count_all();
        return 0;
    }
    while (fgets(line, sizeof line, stdin))
        print_round(threads);
    return 0;
}
