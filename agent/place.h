/* SPDX-License-Identifier: Apache-2.0 */
/* Where a process listens that does not do so where this command looks: what its environment says,
 * in the files as it sees them, which in a container are not ours. */
#ifndef SHADOWCL_AGENT_PLACE_H
#define SHADOWCL_AGENT_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* Does it see other files under a name than we do: in a mount namespace or under a root of its
 * own? */
bool place_is_apart(pid_t pid);
/* Its runtime directory, under a name by which we find it. -1: there is none, or it can't be
 * told. */
int place_find(pid_t pid, char path[PATH_MAX]);

#endif
