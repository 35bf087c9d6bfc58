/* SPDX-License-Identifier: Apache-2.0 */
/* What stands against a copy by CRIU, by name, found in /proc before anything is touched. */
#ifndef SHADOWCL_AGENT_OBSTACLES_H
#define SHADOWCL_AGENT_OBSTACLES_H

#include "agent/criu.h"
#include "agent/targets.h"
#include "agent/tree.h"

struct obstacles {
    char **list; /* owned: sentences */
    size_t count;
};

enum {
    OBSTACLES_DEVICES = 1, /* device nodes */
    OBSTACLES_UNIX = 2,    /* connections to processes outside of the tree */
    OBSTACLES_TCP = 4,     /* connections by TCP */
};

/* Sockets are the user's affair once his options for CRIU speak of them. */
int obstacles_wanted(const struct criu *criu);
/* Before the suspend, `at_work` are those that have been asked by ask_nodes(): device nodes that
 * may be gone after it are none. NULL: each is one. */
void obstacles_find(struct obstacles *obstacles, const struct tree *tree, int what,
                    const struct targets *at_work);
/* Those that stay: connections of ours to it end within moments, of a command before this one, and,
 * once it has left, our own. */
void obstacles_find_settled(struct obstacles *obstacles, const struct tree *tree, int what,
                            const struct targets *at_work);
void obstacles_finish(struct obstacles *obstacles);
/* One of them as an error. */
int obstacles_name(const struct obstacles *obstacles, size_t index, struct error *err);
/* As an error: the first, and how many more; 0 when there is none. */
int obstacles_refuse(const struct obstacles *obstacles, struct error *err);

#endif
