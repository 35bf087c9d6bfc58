/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that a launcher starts without what `run` has set: they use OpenCL past us. */
#ifndef SHADOWCL_AGENT_ESCAPE_H
#define SHADOWCL_AGENT_ESCAPE_H

#include <sys/types.h>

/* Starts a process that looks, for the first two minutes of `pid` and less and less often, at it
 * and what it has started, and notes on stderr which of them uses OpenCL without us. Only where
 * stderr is a terminal or a file: at a pipe somebody may wait for its end; and not in a container,
 * whose first process need not take care of orphans. What prevents it is not an error. `command`:
 * the program's words, which that process does not show as its own. */
void escape_watch(pid_t pid, char **command);

#endif
