/* SPDX-License-Identifier: Apache-2.0 */
/* Whose the device nodes are that processes have open or mapped, as their shims say: while a
 * program runs, its driver has some, and lets go of them at the suspend. */
#ifndef SHADOWCL_AGENT_NODES_H
#define SHADOWCL_AGENT_NODES_H

#include "agent/targets.h"

#include <jansson.h>

/* Is nothing to be said of it yet? So it is where the process has a shim that is not suspended, and
 * the shim knows the node, or it is of a sort that OpenCL drivers open: it may be gone after the
 * suspend, or refuses it (nodes_each_foreign). `number` is the descriptor's, NULL of a mapping.
 * `targets` have been asked by ask_nodes(). */
bool nodes_may_go(const struct targets *targets, pid_t pid, const char *number, const char *path);
/* Calls `visit` for each that is not the driver's, as its shim says, and refuses a suspend. */
void nodes_each_foreign(const struct targets *targets,
                        void (*visit)(const struct error *why, void *data), void *data);
/* The drivers', which may be gone after the suspend: objects with `pid` and `what` it has. */
json_t *nodes_of_drivers(const struct targets *targets);

#endif
