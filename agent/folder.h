/* SPDX-License-Identifier: Apache-2.0 */
/* Directories that are named by users: opened without following a link, and not used where somebody
 * else could put something into them. */
#ifndef SHADOWCL_AGENT_FOLDER_H
#define SHADOWCL_AGENT_FOLDER_H

#include "shim/error.h"

#include <limits.h>
#include <sys/types.h>

/* `path` without the slashes at its end: a name that ends in one would follow a link. */
void folder_name(char out[PATH_MAX], const char *path);
/* A descriptor, or -1. */
int folder_open(const char *path, struct error *err);
/* Is it the caller's own, and can nobody else write to it? */
int folder_check_own(int dir, const char *path, struct error *err);
/* Who is to have folders that are made. */
struct folder_owner {
    uid_t uid;
    gid_t gid;
};

/* The folder that an absolute path lies in, for other users may have a hand in those on its way: no
 * link is followed but one of root's in a folder that only root can write to. Where `make` is not
 * NULL, those that are missing are made. A descriptor to look up names from (O_PATH), or -1. */
int folder_open_parent(const char *path, const struct folder_owner *make, struct error *err);
/* Brings the names in `path`, seen from `dir`, to the disk, where its filesystem knows such a
 * thing; 0, or -1 and errno. */
int folder_sync(int dir, const char *path);
/* Calls `visit` for each file; its first answer that is not 0 ends that. */
int folder_each(int dir, int (*visit)(int dir, const char *file, void *data), void *data);

#endif
