/* SPDX-License-Identifier: Apache-2.0 */
/* Directories that are named by users: opened without following a link, and not used where somebody
 * else could put something into them. */
#ifndef SHADOWCL_AGENT_FOLDER_H
#define SHADOWCL_AGENT_FOLDER_H

#include "shim/error.h"

#include <limits.h>

/* `path` without the slashes at its end: a name that ends in one would follow a link. */
void folder_name(char out[PATH_MAX], const char *path);
/* A descriptor, or -1. */
int folder_open(const char *path, struct error *err);
/* Is it the caller's own, and can nobody else write to it? */
int folder_check_own(int dir, const char *path, struct error *err);
/* Brings the names in `path`, seen from `dir`, to the disk, where its filesystem knows such a
 * thing; 0, or -1 and errno. */
int folder_sync(int dir, const char *path);
/* Calls `visit` for each file; its first answer that is not 0 ends that. */
int folder_each(int dir, int (*visit)(int dir, const char *file, void *data), void *data);

#endif
