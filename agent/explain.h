/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl checkpoint --explain`: what stands against a copy, all of it, and what must be there
 * where it is restored. Nothing is touched. */
#ifndef SHADOWCL_AGENT_EXPLAIN_H
#define SHADOWCL_AGENT_EXPLAIN_H

#include "shim/error.h"

#include <stdbool.h>
#include <sys/types.h>

struct explain_wish {
    pid_t pid;
    bool tree, json;
    char *const *more; /* the user's own options for CRIU */
};

/* Returns the exit code; EXIT_REFUSED where something stands against it. -1: the process can't be
 * looked at. */
int explain(const struct explain_wish *wish, struct error *err);

#endif
