/* SPDX-License-Identifier: Apache-2.0 */
/* A whole program, small: what it is made of, and how it is run. See main.c. */
#ifndef SHADOWCL_BENCH_PROGRAM_H
#define SHADOWCL_BENCH_PROGRAM_H

#include <CL/cl.h>
#include <stddef.h>
#include <stdint.h>

struct program {
    const char *name;
    const char *source; /* of its kernels */
    void (*set_up)(void);
    void (*run)(long amount); /* the same work each time, from the same start */
    uint64_t (*digest)(void); /* of the result */
    long amount;              /* what is timed … */
    long counted;             /* … and what is run where instructions are counted */
};

extern const struct program solver, gemm, fft, reduction, filter, small_kernels, small_buffers;

extern cl_context context;
extern cl_command_queue queue; /* in order */

void check(cl_int status, const char *call);
#define CHECK(call) check(call, #call)

/* A kernel of the program that is being set up. */
cl_kernel kernel_make(const char *name);
cl_mem buffer_make(size_t size, const void *contents);
void set_mem(cl_kernel kernel, cl_uint index, cl_mem mem);
void set_int(cl_kernel kernel, cl_uint index, cl_int value);
/* `local` may be NULL. */
void launch(cl_kernel kernel, cl_uint dims, const size_t *global, const size_t *local);
void buffer_read(cl_mem mem, size_t size, void *to);
/* Numbers between 0 and 1, the same in every process. */
float *numbers(size_t count);
uint64_t digest_bytes(const void *bytes, size_t size);
uint64_t digest_buffer(cl_mem mem, size_t size);

#endif
