/* SPDX-License-Identifier: Apache-2.0 */
/* Where a process listens that does not do so where this command looks: what its environment says,
 * in the files as it sees them, which in a container are not ours. */
#ifndef SHADOWCL_AGENT_PLACE_H
#define SHADOWCL_AGENT_PLACE_H

#include "shim/error.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* Does it see other files under a name than we do: in a mount namespace or under a root of its
 * own? */
bool place_is_apart(pid_t pid);
/* The same, and other files than the machine's first process: we may be the one who is apart. */
bool place_is_contained(pid_t pid);
/* Opens its runtime directory; `path` gets a name for it. Its own user, and root of its user
 * namespace, have all power over it as it is, and may own the directory: so that nobody but this
 * process may be spoken to there. -1 and errno ENOENT: there is none, or it can't be told; else
 * `err` says what is wrong with it. */
int place_open(pid_t pid, char path[PATH_MAX], struct error *err);

#endif
