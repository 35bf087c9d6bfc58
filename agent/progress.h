/* SPDX-License-Identifier: Apache-2.0 */
/* One line on a terminal, rewritten while processes take their time. */
#ifndef SHADOWCL_AGENT_PROGRESS_H
#define SHADOWCL_AGENT_PROGRESS_H

#include "agent/client.h"

struct progress {
    const char *doing; /* "suspending" */
    double start, next;
    bool is_terminal, is_shown;
};

void progress_start(struct progress *progress, const char *doing);
/* Asks those that have not answered for their state, on connections of their own. */
void progress_tick(struct progress *progress, const struct exchange *list, size_t count);
/* The same of work that is done here: "verifying a.image: 45 %, 1.2 s"; below 0 it is not known how
 * much is done. */
void progress_tell(struct progress *progress, const char *what, double fraction);
void progress_end(struct progress *progress);

/* Calls `look` at every turn of a wait, instead of writing a line. */
void progress_observe(void (*look)(const char *doing, const struct exchange *list, size_t count,
                                   void *data),
                      void *data);
/* What the process says now, on a connection of its own; NULL where it does not. The caller's, to
 * be freed as a response. */
control_response *progress_ask(const struct peer *peer);

#endif
