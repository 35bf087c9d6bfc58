/* SPDX-License-Identifier: Apache-2.0 */
/* An error as a user needs it: what object, why, what to do. Set once where it happens, said once
 * at the top; untouched on success. Strings are cut, never allocated: it works without memory. */
#ifndef SHADOWCL_SHIM_ERROR_H
#define SHADOWCL_SHIM_ERROR_H

#include <stdbool.h>

struct error {
    char object[128]; /* "buffer 12", "kernel `solve`", "driver `libfoo.so`" */
    char reason[384];
    char todo[256];
    int code;      /* the driver's error, where that is known; else 0 */
    bool is_final; /* the same would fail again, whenever it is tried */
};

/* Fills in `reason`; errnum (an errno, or 0) adds its text. Always returns -1. */
int error_set(struct error *err, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds which object and what to do; both return -1, so that `return error_todo(...)` reads well. */
int error_object(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
int error_todo(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Waiting does not help; returns -1. */
int error_final(struct error *err);

#endif
