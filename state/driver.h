/* SPDX-License-Identifier: Apache-2.0 */
/* A driver as everything above it sees it: one platform of one ICD, as a table of functions. The
 * struct outlives the loaded library: a suspend empties the table, a resume fills it again, maybe
 * from another instance. A driver in a process of its own can stand behind the same table. */
#ifndef SHADOWCL_STATE_DRIVER_H
#define SHADOWCL_STATE_DRIVER_H

#include <CL/cl_icd.h>
#include <stdbool.h>
#include <stddef.h>

#include "shim/calls.h"

struct driver {
/* NULL where the driver does not have the call: deprecated and optional ones (sub-devices, native
 * kernels, built-in kernels) too, whatever its version. */
#define X(since, call) __typeof__(call) *call;
    CALLS(X)
#undef X
    cl_platform_id platform; /* the real one; NULL while not loaded */
    unsigned version;        /* 120, 200, 300, …: of what is called of the platform */
    unsigned told;           /* at the first start: the version is never above it */
    struct library *library; /* borrowed; who loaded it (shim/loader.c) */
    unsigned place;          /* which of the library's platforms this is */
};

/* Looks up a function that is not in the table: NULL where the driver does not have it. */
void *driver_extension(const struct driver *driver, const char *name);

/* Gives a real object back, by a statement. A driver without the means to do so at that moment
 * keeps the object, and its device with it: it is asked once more. */
#define RELEASE(driver, call, real)                                                                \
    do {                                                                                           \
        cl_int released = (driver)->call(real);                                                    \
        if (released == CL_OUT_OF_RESOURCES || released == CL_OUT_OF_HOST_MEMORY)                  \
            (driver)->call(real);                                                                  \
    } while (0)

#endif
