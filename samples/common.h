/* SPDX-License-Identifier: Apache-2.0 */
/* What every sample needs: options, a device with a context and a queue, error checks, a digest of
 * the result. Errors end the program, as befits a sample. */
#ifndef SHADOWCL_SAMPLES_COMMON_H
#define SHADOWCL_SAMPLES_COMMON_H

#include <CL/cl.h>
#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options {
    unsigned device;    /* counted over the devices of all platforms */
    unsigned repeat;    /* rounds of the whole work; each starts from the one before */
    unsigned size;      /* what it counts is the sample's affair */
    const char *output; /* file for the result's bytes; NULL for none */
};

/* A sample with options of its own makes this a child of its parser; the input is a
 * `struct options` that holds the defaults. */
extern const struct argp options_argp;
/* Reads the options that all samples have, over the defaults already in `options`. */
void options_parse(struct options *options, const char *what, int argc, char **argv);
/* A number from `low` up to a million or two thousand million, or a usage error. */
unsigned option_number(struct argp_state *state, const char *text, unsigned low);

struct setup {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue; /* in order */
};

void setup_init(struct setup *setup, const struct options *options);
void setup_finish(struct setup *setup);

/* Ends the program when `err` is not CL_SUCCESS, naming the call and the error. */
void check(cl_int err, const char *call);
/* Ends the program with a message. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* malloc that ends the program when memory is out. */
void *allocate(size_t size);

cl_program program_build(const struct setup *setup, const char *source);
/* Prints what the compiler said, then ends the program as check() does. */
void check_build(cl_int err, const char *call, cl_program program, cl_device_id device);
cl_kernel kernel_create(cl_program program, const char *name);
cl_mem buffer_create(const struct setup *setup, cl_mem_flags flags, size_t size, void *host);
void set_arg(cl_kernel kernel, cl_uint index, size_t size, const void *value);

/* Says `round 12 of 100` on stderr, at most twenty times a second. */
void progress(const char *unit, unsigned done, unsigned total);
double seconds_now(void);

/* Writes the result where --output says and prints `ok` and its digest (FNV-1a, 64 bits). */
void report(const struct options *options, const void *result, size_t size);

#endif
