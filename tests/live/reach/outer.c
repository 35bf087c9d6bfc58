/* SPDX-License-Identifier: Apache-2.0 */
/* A library whose RUNPATH is `$ORIGIN/inner`: what it opens by a bare name is found there only if
 * glibc sees that the call came from here. */
#include <dlfcn.h>

void *outer_open(const char *name, int flags);

void *outer_open(const char *name, int flags)
{
    /* Volatile: a tail call would make our caller the caller of dlopen. */
    void *volatile handle = dlopen(name, flags);
    return handle;
}
