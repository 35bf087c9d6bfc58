/* SPDX-License-Identifier: Apache-2.0 */
/* A suspended process that is to be copied by CRIU has no socket: a listening one can't follow it
 * to another runtime directory, nor can two copies of it share one. It waits at a pipe of its own
 * instead, which CRIU copies with what is in it. Whoever may look into the process writes to it by
 * /proc/PID/fd/N; the thread that waits is called `shadowcl-N`. */
#ifndef SHADOWCL_SHIM_WAKE_H
#define SHADOWCL_SHIM_WAKE_H

#include <stdbool.h>

#include "shim/error.h"

enum { WAKE_ROOM = 4096 };

/* What the thread is called as long as nobody need find it. */
#define WAKE_THREAD "shadowcl"

/* What a message says: two lines, `listen` or `resume DEVICE`, and the directory to listen in. One
 * that was suspended before it was asked to leave does not resume, and listens. */
struct wake_call {
    bool resume;
    char device[WAKE_ROOM];
    char directory[WAKE_ROOM]; /* empty: the usual one */
};

/* Makes the pipe; nothing waits at it yet. */
int wake_prepare(struct error *err);
/* Closes it. */
void wake_finish(void);
/* Gives the calling thread its name: from now on it can be found. Before anybody is told that the
 * process has left: CRIU may stop it at any moment after that, and wakers look while it is stopped.
 */
void wake_stand_by(void);
/* Waits for a message. Without one it returns, as if told to listen, once the process finds that it
 * is a copy (its pipe is then another), or that the program has closed the pipe. */
void wake_wait(struct wake_call *call);
/* In a forked child: the pipe is the parent's. */
void wake_forked(void);

#endif
