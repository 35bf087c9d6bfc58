/* SPDX-License-Identifier: Apache-2.0 */
/* A Unix socket for hosts and tests: mode 0600, and only root and the agent's own user are heard.
 */
#ifndef SHADOWCL_DAEMON_LISTENER_H
#define SHADOWCL_DAEMON_LISTENER_H

#include "shim/error.h"

struct agent;
struct listener;

/* A socket of that name that nobody listens on is replaced. `path` is borrowed. */
int listener_open(struct listener **out, struct agent *agent, const char *path, struct error *err);
/* Removes the name. NULL is fine. */
void listener_close(struct listener *listener);

#endif
