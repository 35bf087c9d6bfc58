/* SPDX-License-Identifier: Apache-2.0 */
/* A process and all that it started: what CRIU copies as one. */
#ifndef SHADOWCL_AGENT_TREE_H
#define SHADOWCL_AGENT_TREE_H

#include "shim/error.h"

#include <stdbool.h>
#include <sys/types.h>

struct tree {
    pid_t *pids; /* owned; parents before their children */
    size_t count;
};

int tree_find(struct tree *tree, pid_t root, struct error *err);
void tree_finish(struct tree *tree);
bool tree_has(const struct tree *tree, pid_t pid);

#endif
