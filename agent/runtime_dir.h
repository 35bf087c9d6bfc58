/* SPDX-License-Identifier: Apache-2.0 */
/* Where processes listen: $SHADOWCL_RUNTIME_DIR, else /run/shadowcl, else
 * $XDG_RUNTIME_DIR/shadowcl. A directory that others could play tricks in is refused. */
#ifndef SHADOWCL_AGENT_RUNTIME_DIR_H
#define SHADOWCL_AGENT_RUNTIME_DIR_H

#include "shim/error.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct runtime_dir {
    char *path; /* owned */
    int fd;     /* owned; open for reading */
};

struct runtime_dirs {
    struct runtime_dir *list; /* owned */
    size_t count;
};

/* Opens every directory in which a process that we may speak to can listen: the one that is set,
 * or /run/shadowcl and the user's own; for root those of all users. None at all is no error unless
 * one was set; one that is refused is said on stderr. */
int runtime_dirs_open(struct runtime_dirs *dirs, struct error *err);
/* May what lies in such a directory be believed? Its owner must be root or ourselves, unless the
 * caller has found him right. */
int runtime_dir_check(const struct stat *status, bool any_owner, struct error *err);
void runtime_dirs_close(struct runtime_dirs *dirs);
/* For a program about to start: its directory exists and a socket can be made in it. `set` (or
 * NULL) is what the user chose. Makes $XDG_RUNTIME_DIR/shadowcl; as root /run/shadowcl. `path`
 * gets which one it is. */
int runtime_dir_prepare(const char *set, char path[PATH_MAX], struct error *err);

#endif
