/* SPDX-License-Identifier: Apache-2.0 */
/* The administrator's own programs around a suspend and a resume: unbind the kernel's driver, bind
 * it again, wait for a node. */
#ifndef SHADOWCL_DAEMON_HOOKS_H
#define SHADOWCL_DAEMON_HOOKS_H

#include "agent/daemon/job.h"

struct hooks {
    const char *directory; /* borrowed */
    char **names;          /* owned; in their order */
    size_t count;
};

/* No directory is no hooks. -1 when one can't be trusted; `hooks` then has none. */
int hooks_find(struct hooks *hooks, const char *directory, struct error *err);
void hooks_finish(struct hooks *hooks);
json_t *hooks_names(const struct hooks *hooks);

/* All of them with `release`, in order; each adds to `results` (an array). When one fails, or the
 * job is withdrawn, those that were run are run with `return`, in reverse order. */
int hooks_release(const struct hooks *hooks, struct job *job, double timeout, json_t *results,
                  struct error *err);
/* All of them with `return`, in reverse order, up to one that fails. */
int hooks_return(const struct hooks *hooks, struct job *job, double timeout, json_t *results,
                 struct error *err);

#endif
