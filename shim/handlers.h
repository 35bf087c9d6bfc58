/* SPDX-License-Identifier: Apache-2.0 */
/* Drivers built with LLVM put their signal handlers over the program's, when they start and when
 * they compile for the first time. */
#ifndef SHADOWCL_SHIM_HANDLERS_H
#define SHADOWCL_SHIM_HANDLERS_H

#include <signal.h>

#define HANDLERS_KEPT 32 /* real-time signals are left alone */

struct handlers {
    struct sigaction before[HANDLERS_KEPT];
};

struct handlers handlers_keep(void);
/* Brings back the program's that are no longer there; not where it has set another of its
 * executable's meanwhile. One of a library's can't be told from a driver's, and is undone. What was
 * a driver's once is never brought back. */
void handlers_restore(const struct handlers *kept);

/* Until the scope's end. Inside the gate: who waits there waits for long, and the program may set
 * others meanwhile. */
#define KEEP_HANDLERS()                                                                            \
    __attribute__((cleanup(handlers_restore), unused)) const struct handlers handlers =            \
        handlers_keep()

#endif
