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
#define SAVED_NAME "shadowcl.json"

struct saved {
    char dir[PATH_MAX]; /* absolute */
    int fd;             /* owned: of the directory; -1: not open */
    json_t *json;       /* owned */
    bool is_new;        /* the directory was made */
    bool is_apart;      /* one of its processes sees other files than we do: names say nothing */
};

/* Makes the directory, mode 0700 whatever the umask, or takes an empty one, or one that has only
 * CRIU's logs in it, which go. No link is followed, and it must be the caller's alone. */
int saved_create(struct saved *saved, const char *dir, struct error *err);
/* After a failure: takes the images away, and the directory where it was made for them; but CRIU's
 * log stays, and what it lies in. */
void saved_abandon(const struct saved *saved);
/* Collects what `shadowcl.json` says, as long as the processes stand still; again, where more have
 * come. `resumes[i]`: was not
 * suspended before, and is not to be afterwards. */
int saved_describe(struct saved *saved, const struct tree *tree, const bool *resumes,
                   const struct criu *criu, struct error *err);
/* The pipes of the tree whose other end is in no process of it, each once: an array of `pid`,
 * `fd`, the lowest number that leads to it, and `inode`. The caller's. */
json_t *saved_list_pipes(const struct tree *tree);
/* What becomes of one of them; false, and nothing, where a restore puts its own in place of it. */
bool saved_explain_pipe(const json_t *pipe, struct error *err);
/* After the dump: takes the processes, open files and their sizes from what CRIU has seen when
 * everything stood still. `resumes`: of processes that have come since. */
void saved_take_images(struct saved *saved, bool resumes);
/* Puts the files that are mapped there too; not those that the program writes to. */
int saved_keep_files(struct saved *saved, struct error *err);
/* Writes it, when all else is on the disk. */
int saved_commit(struct saved *saved, struct error *err);
/* Is this the name of one that CRIU has written, or of a file that is kept? */
bool saved_is_image(const char *file);
/* Into `shadowcl.json`: the size of each. And are those that it has in `dir` still as long? */
int saved_list_images(struct saved *saved, struct error *err);
int saved_check_images(int dir, const json_t *json, struct error *err);
uint64_t saved_bytes(const struct saved *saved);

/* Opens a directory that is whole, or the newest such directory in it: of those that are named by
 * numbers the one with the highest. One that was damaged since is named, and passed by. No link is
 * followed. */
int saved_open(struct saved *saved, const char *dir, struct error *err);
/* Is everything there that it names, or in the directory? Nothing is touched; files that have grown
 * since are well where they may be cut. */
int saved_check(const struct saved *saved, bool may_cut, struct error *err);
/* Of one that is mapped, an element of its list: is there a copy in the directory, and is it whole?
 */
bool saved_has_kept(const struct saved *saved, const json_t *file);
int saved_check_kept(const struct saved *saved, const json_t *file, struct error *err);
/* After the check: puts files that are missing back where they were, and cuts those that have
 * grown. */
int saved_make_ready(const struct saved *saved, struct error *err);
int saved_put_files(const struct saved *saved, struct error *err);
void saved_finish(struct saved *saved);

#endif
