/* SPDX-License-Identifier: Apache-2.0 */
/* Single OpenCL calls, each as a loop, on objects of the calling thread's own. */
#ifndef SHADOWCL_BENCH_CALLS_H
#define SHADOWCL_BENCH_CALLS_H

#include <stddef.h>

struct benchmark {
    const char *name;
    void (*run)(long n);
    long n;       /* calls per round */
    long counted; /* calls under callgrind */
};

extern const struct benchmark benchmarks[];
extern const size_t num_benchmarks;

/* What all threads share, first; then each thread's own. Errors end the program. */
void calls_set_up(void);
void calls_set_up_thread(void);
/* One of the thread's handles. */
void *calls_a_handle(void);

#endif
