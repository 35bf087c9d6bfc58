/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's state, as it stands in the runtime directories: a file `suspended.UID` in each while
 * the state is not `running`. A program that makes its first OpenCL call waits until it is gone
 * (shim/wait.h), and an agent that is started again reads its state from it. */
#ifndef SHADOWCL_DAEMON_MARK_H
#define SHADOWCL_DAEMON_MARK_H

#include "shim/error.h"

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

enum agent_state { STATE_RUNNING, STATE_SUSPENDING, STATE_SUSPENDED, STATE_RESUMING };

struct mark {
    enum agent_state state;
    bool hooks;          /* hooks of `release` have been run, and those of `return` not yet */
    bool is_stuck;       /* the file could not be removed */
    char devices[1024];  /* for the hooks of `return`: PCI addresses, separated by blanks */
    char home[PATH_MAX]; /* the directory that is read at the start; the journal is there too */
    char boot[64];       /* of the guest: a mark of another boot says nothing */
};

const char *agent_state_name(enum agent_state state);

/* Makes the runtime directory where it is missing and reads what an agent before left there. */
int mark_start(struct mark *mark, const char *boot, struct error *err);
/* Writes the mark into all runtime directories, or removes it from them when `state` is
 * STATE_RUNNING. On failure nothing has changed. A state that only says that we are on the way back
 * does not fail: what an agent reads who comes after us is as good. */
int mark_set(struct mark *mark, enum agent_state state, struct error *err);
/* From a job's thread: what the state is going to be is in the file before anybody is told. */
int mark_write(const struct mark *mark, enum agent_state state, struct error *err);
/* Tries again to remove a file that could not be. */
void mark_retry(struct mark *mark);
/* From a job's thread: hooks of `release` are about to run. An agent that dies meanwhile runs those
 * of `return` when it is started again. */
void mark_note_hooks(struct mark *mark);
/* Is the file still there? Whoever may, removes it to free everybody without the agent. */
bool mark_stands(const struct mark *mark);

#endif
