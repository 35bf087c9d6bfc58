/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs of this folder share: a device to work on, work whose result is known, and the
 * suspends and resumes, which come from outside, by the command. Without LIVE_COMMAND in the
 * environment (natively, under storm) those do nothing. Whatever goes wrong ends the program
 * with 99. */
#ifndef SHADOWCL_TESTS_MOMENTS_WORK_H
#define SHADOWCL_TESTS_MOMENTS_WORK_H

#include <CL/cl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct work {
    cl_device_id device;
    cl_context context;
    cl_command_queue queue;
    cl_program program;
};

/* One name for each case of a program. */
struct moment {
    const char *name;
    int (*run)(void); /* what the program's exit code is to be */
};

/* Runs the case that is named, or prints all names. */
int moment_main(int argc, char **argv, const struct moment *moments, unsigned count);

_Noreturn void fail(const char *what, long got, long expected);
#define expect(got, expected)                                                                      \
    do {                                                                                           \
        long it = (long)(got), should = (long)(expected);                                          \
        if (it != should)                                                                          \
            fail(__FILE__ ": " #got, it, should);                                                  \
    } while (0)
#define ok(call) expect(call, CL_SUCCESS)

void work_start(struct work *work);
void work_end(struct work *work);
cl_kernel work_kernel(const struct work *work);
/* A buffer of so many words, which begin as word i = i. */
cl_mem work_buffer(const struct work *work, size_t words);
/* Enqueues rounds of the kernel on the buffer, from round `from` on. */
void work_enqueue(cl_command_queue queue, cl_kernel kernel, cl_mem buffer, size_t words,
                  unsigned from, unsigned rounds);
/* Does the buffer hold what so many rounds make of it? Ends the program if not. */
void work_check(cl_command_queue queue, cl_mem buffer, size_t words, unsigned rounds);
/* All of the above with a buffer and a kernel of its own. */
void work_once(const struct work *work, cl_command_queue queue, size_t words, unsigned rounds);
/* What word i is after so many rounds. */
uint32_t work_word(uint32_t i, unsigned rounds);

/* Under shadowcl? */
bool shadowed(void);
/* Is there a command to suspend with? */
bool commanded(void);
/* `shadowcl VERB PID`, waiting for its end; the exit code, 0 without a command. */
int outside(const char *verb, pid_t pid);
/* The same without waiting for the command. */
pid_t outside_start(const char *verb, pid_t pid);
/* Until the other process can be reached by a verb, which is then done; for at most 20 seconds. */
void outside_retry(const char *verb, pid_t pid);
/* The exit code of a child; a signal is 1000 more. */
int child_code(pid_t child);
void sleep_ms(int ms);

#endif
