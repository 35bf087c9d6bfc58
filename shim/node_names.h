/* SPDX-License-Identifier: Apache-2.0 */
/* Which files are device nodes that a driver has open: the shim looks for them in its own process,
 * the agent in all. */
#ifndef SHADOWCL_SHIM_NODE_NAMES_H
#define SHADOWCL_SHIM_NODE_NAMES_H

#include <stdbool.h>

/* `path` as /proc has it. `more` are further patterns (fnmatch), separated by colons, or NULL. */
bool node_name_matches(const char *path, const char *more);
/* Of which sort: the same number for NVIDIA's, for those under /dev/dri, for those of one further
 * pattern; -1: it is none. */
int node_name_sort(const char *path, const char *more);

#endif
