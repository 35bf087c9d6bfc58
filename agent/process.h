/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc tells of a process: whether it lives, whose it is, and which OpenCL it has loaded. */
#ifndef SHADOWCL_AGENT_PROCESS_H
#define SHADOWCL_AGENT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum {
    PROCESS_SHIM = 1,  /* our library is mapped */
    PROCESS_OPENCL = 2 /* another OpenCL library, or a driver, is mapped */
};

/* A zombie does not live: it will never answer. */
bool process_lives(pid_t pid);
/* -1 if there is no such process (or it is hidden from us). */
int process_owner(pid_t pid, uid_t *out);
/* Who is root in its user namespace, as users are counted in ours. -1: nobody whom we have a number
 * for, or that can't be told. */
int process_root(pid_t pid, uid_t *out);
/* Is its user namespace another than ours? */
bool process_has_own_users(pid_t pid);
/* The number by which it knows itself: of its own pid namespace. 0: that can't be told. */
pid_t process_inner_pid(pid_t pid);
/* The number of its pid namespace where that is another than ours; else 0. */
uint64_t process_pid_namespace(pid_t pid);
void process_command(pid_t pid, char *out, size_t size);
/* PROCESS_* flags; 0 also for a process that we may not look into. The name of the first foreign
 * OpenCL library goes to `library`. */
int process_opencl(pid_t pid, char *library, size_t size);
/* Calls `visit` for each descriptor that the process has open, with its number in /proc and what it
 * is (a path, `socket:[1]`, …; "" where that can't be read). */
void process_each_descriptor(pid_t pid,
                             void (*visit)(pid_t pid, const char *number, const char *target,
                                           void *data),
                             void *data);
/* What such a descriptor was opened with (O_RDWR, O_APPEND, …); 0 where that can't be read. */
int process_open_flags(pid_t pid, const char *number);
/* A variable of the environment that it was started with: 1. 0, and "": it has none of that name.
 * -1, and "": it has a longer one, or can't be looked into. */
int process_variable(pid_t pid, const char *name, char *value, size_t size);
/* May it make files in such a directory, by the directory's mode? True where that can't be told. */
bool process_may_write(pid_t pid, const struct stat *folder);
/* The name of a user, or the number. */
const char *process_user(uid_t uid, char *out, size_t size);

#endif
