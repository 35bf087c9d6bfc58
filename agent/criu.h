/* SPDX-License-Identifier: Apache-2.0 */
/* CRIU, the program that copies processes: where it is, whether it works here, and calling it. */
#ifndef SHADOWCL_AGENT_CRIU_H
#define SHADOWCL_AGENT_CRIU_H

#include "shim/error.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct criu {
    char path[PATH_MAX];
    char version[32];
    char *const *more; /* borrowed: the user's own options, ended by NULL; or NULL */
};

/* Finds it ($SHADOWCL_CRIU, what scripts/get-criu.sh made, PATH) and makes sure that this user may
 * use it and that it fits the kernel. */
int criu_find(struct criu *criu, struct error *err);
/* Is one of the user's own options this one? */
bool criu_has_option(const struct criu *criu, const char *option);
/* Copies the tree of `root` to `dir`; afterwards it runs on, or is stopped. */
int criu_dump(const struct criu *criu, pid_t root, const char *dir, bool leave_running,
              struct error *err);
/* Makes it again from there, as a child of this process. `inherit` are options, ended by NULL. */
int criu_restore(const struct criu *criu, const char *dir, char *const *inherit, pid_t *root,
                 struct error *err);

#endif
