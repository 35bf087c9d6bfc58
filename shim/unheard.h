/* SPDX-License-Identifier: Apache-2.0 */
/* Callbacks of events that the driver was to make and would not take, where nobody is there to be
 * told of the error: those of a command that was handed over, and ours of an unmap. A thread of
 * ours looks at the events instead. It is there only while there are any. */
#ifndef SHADOWCL_SHIM_UNHEARD_H
#define SHADOWCL_SHIM_UNHEARD_H

#include <stdbool.h>

/* Lies in the memory of whoever adds it, until `look` says true: then it is its own again. */
struct unheard {
    struct unheard *next;
    bool (*look)(struct unheard *it); /* inside the gate; takes no lock that is held at a fork */
};

void unheard_add(struct unheard *it);
/* At the program's end: no driver is asked any more. */
void unheard_stop(void);
void unheard_before_fork(void);
void unheard_after_fork(void);
void unheard_forked(void);

#endif
