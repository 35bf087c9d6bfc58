/* SPDX-License-Identifier: Apache-2.0 */
/* The directory that a copy lies in: CRIU's images, and `shadowcl.json`, which is written last: a
 * directory that has it is whole. It says which processes there are, and what else must be there
 * where they are restored. */
#ifndef SHADOWCL_AGENT_SAVED_H
#define SHADOWCL_AGENT_SAVED_H

#include "agent/criu.h"
#include "agent/tree.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { SAVED_VERSION = 1 };

struct saved {
    char dir[PATH_MAX]; /* absolute */
    json_t *json;       /* owned */
};

/* Makes the directory, mode 0700 whatever the umask, or takes an empty one. */
int saved_create(struct saved *saved, const char *dir, struct error *err);
/* After a failure: takes the images away; CRIU's log stays. */
void saved_abandon(const struct saved *saved);
/* Collects what `shadowcl.json` says, as long as the processes stand still. `resumes[i]`: was not
 * suspended before, and is not to be afterwards. */
int saved_describe(struct saved *saved, const struct tree *tree, const bool *resumes,
                   const struct criu *criu, struct error *err);
/* After the dump: corrects the sizes of files, which CRIU has seen when everything stood still. */
void saved_take_sizes(struct saved *saved);
/* Writes it, when all else is on the disk. */
int saved_commit(const struct saved *saved, struct error *err);
uint64_t saved_bytes(const struct saved *saved);

/* Opens a directory that is whole, or the newest such directory in it. */
int saved_open(struct saved *saved, const char *dir, struct error *err);
/* Is everything there that it names? With `truncate`, files that have grown since are cut. */
int saved_check(const struct saved *saved, bool truncate, struct error *err);
void saved_finish(struct saved *saved);

#endif
