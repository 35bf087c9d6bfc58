/* SPDX-License-Identifier: Apache-2.0 */
/* What the live tests of suspend share: a device with a context and a queue, and the suspends and
 * resumes, which come from outside, by the command. Natively, and under a storm, which comes from
 * inside (without LIVE_COMMAND in the environment), those do nothing, and the tests must pass too.
 */
#ifndef SHADOWCL_TESTS_LIVE_H
#define SHADOWCL_TESTS_LIVE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <CL/cl.h>
#include <stdbool.h>

struct live {
    cl_platform_id platform;
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    int version; /* of the device: 120, 300 */
    bool pocl;
};

extern struct live live;

/* Group set-up: the first device of the first platform, a context, a queue in order. */
int live_setup(void **state);
int live_teardown(void **state);

/* Under shadowcl? And with the command, so that live_suspend does what it says? */
bool live_shadowed(void);
bool live_commanded(void);
/* Each asserts that the command says 0. To be called from the test's own thread. */
void live_suspend(void);
void live_resume(void);
/* live_suspend, and how many bytes the command says were captured; -1 where it does nothing. */
long long live_suspend_captured(void);
/* The same, where the command may refuse: was it done? */
bool live_try_suspend(void);
bool live_try_suspend_in(const char *seconds); /* --deadline */
void live_cycle(void);
/* An image is written, which nobody reads; the program goes on. */
void live_save(void);
/* Whether the test driver was told to have this (SHADOWCL_TEST_CAPS). */
bool live_has_cap(const char *cap);

/* Skips the test, visibly, where the driver lacks something. */
#define live_need(condition)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_message("skipped: this driver lacks %s\n", #condition);                          \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

#define ok(call) assert_int_equal(call, CL_SUCCESS)
/* For what returns an object and an error through `&err`. */
#define made(object)                                                                               \
    do {                                                                                           \
        assert_int_equal(err, CL_SUCCESS);                                                         \
        assert_non_null(object);                                                                   \
    } while (0)

/* Fills with bytes that tell their place and the seed. */
void live_pattern(void *bytes, size_t size, unsigned seed);
/* A plain buffer with those bytes (NULL: not initialised). */
cl_mem live_buffer(size_t size, const void *bytes);
cl_event live_user_event(void);
cl_command_queue live_queue(void); /* another one, in order */
/* The buffer's bytes, through a copy on the device, so that host-access flags don't matter. */
void live_expect(cl_mem buffer, size_t offset, const void *expected, size_t size);
cl_program live_program(const char *source, const char *options);
cl_kernel live_kernel(const char *source, const char *name);
/* The kernel over so many work-items, without waiting. */
void live_launch(cl_command_queue queue, cl_kernel kernel, size_t items);

/* All that an object answers, one after the other: error, size and bytes for each parameter.
 * Returns how many bytes were put to `out`. */
typedef void (*live_query)(void);
size_t live_infos(live_query query, const void *object, const cl_uint *params, size_t num_params,
                  unsigned char *out, size_t room);
#define live_ask(query, object, params, out)                                                       \
    live_infos((live_query)(query), object, params, sizeof(params) / sizeof *(params), out,        \
               sizeof(out))

/* How often the log (LIVE_LOG) says that. */
int live_logged(const char *text);
/* Milliseconds. */
void live_sleep(int ms);
/* Waits for the number to reach a value, for at most ten seconds. */
void live_wait_for(_Atomic int *number, int value);

/* What a suspend has written. The command has ended, by which it did: another process, so that the
 * thread sanitizer does not know. */
void live_copy_written(unsigned char *to, const volatile unsigned char *from, size_t size);

#endif
