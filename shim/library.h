/* SPDX-License-Identifier: Apache-2.0 */
/* A driver's library, and the instances of it: one that stays mapped and can't be trusted to see
 * devices afresh is followed by a fresh one, in a link-map namespace of its own. All but leaving,
 * coming back and asking is the loader's to do (shim/loader.h). */
#ifndef SHADOWCL_SHIM_LIBRARY_H
#define SHADOWCL_SHIM_LIBRARY_H

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "shim/error.h"

struct library {
    char *path;             /* owned */
    void *handle;           /* NULL while not loaded */
    void *fresh;            /* the next instance, loaded; NULL: none */
    void *spare;            /* and the one after that: loader_spare */
    bool tried;             /* it has been started before, for a resume that failed */
    Lmid_t space;           /* the link-map namespace of `handle` */
    atomic_bool had_device; /* this instance has had a device node open */
    bool stale; /* the last instance stays mapped and has had a device: not to be used again */
    bool hung;  /* a call into the last instance never came back: not to be touched again */
    unsigned abandoned;        /* instances, so many */
    _Atomic unsigned left;     /* threads that are in a call into this instance yet */
    _Atomic unsigned instance; /* its number */
    void *pin; /* keeps `space` from becoming somebody else's; NULL: it is not kept */
    void (*_Atomic ready_thread)(void); /* of the C library in `space`: see loader_ready_thread */
    char why[600];                      /* the last reload failed with this; empty: it did not */
};

/* The next instance, or the one that is loaded already, as `handle`: which is NULL, and dlerror
 * says why, where there can be none. */
void library_open(struct library *library);
/* One that nobody is in any more. What stays mapped and has had a device is `stale` then. */
void library_close(struct library *library);
/* A call into it does not come back: this instance is never called again, nor unloaded, and the
 * next is a fresh one. */
void library_abandon(struct library *library);
/* Is the library known not to unload: marked so, or built in C++ (libstdc++'s unique symbols)? */
bool library_will_stay(const struct library *library);
/* An instance that is not used yet; NULL, and err, where there can be none. There are only so many
 * (static TLS, and glibc's 16 namespaces). */
void *library_next(struct library *library, struct error *err);
/* Makes sure of the instance after that. False: there can be none. */
bool library_fresh(struct library *library);

/* A thread was left in a call into this instance (shim/phase.h), which is never closed under it:
 * the next reload takes a fresh one. Returns the instance's number. */
unsigned library_leave(struct library *library);
/* It has come out of it; inside the gate. False: the instance is not to be called any more. */
bool library_come_back(struct library *library, unsigned instance);
/* The time for one call, doubled for each instance of it that was abandoned. */
unsigned long library_more_patience(const struct library *library, unsigned long patience);
const char *library_path(const struct library *library); /* borrowed */

#endif
