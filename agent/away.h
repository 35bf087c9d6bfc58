/* SPDX-License-Identifier: Apache-2.0 */
/* Suspended processes that have left their sockets, so that CRIU can copy them: each waits at a
 * pipe of its own (shim/wake.h), which lets whoever may look into it say what is next. */
#ifndef SHADOWCL_AGENT_AWAY_H
#define SHADOWCL_AGENT_AWAY_H

#include "shim/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* Has it left? */
bool away_is(pid_t pid);
/* Tells it to listen again: in the directory that SHADOWCL_RUNTIME_DIR names, else where it did;
 * one that sees other files (agent/place.h), always there. */
int away_wake(pid_t pid, struct error *err);
/* The same, and to resume, unless it had been suspended before it was asked to leave; nobody waits
 * for that. `device` may be "". It may be stopped: then it does so as soon as it runs. */
int away_resume(pid_t pid, const char *device, struct error *err);

#endif
