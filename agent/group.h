/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a tree that are under shadowcl: they leave their sockets as one, so that CRIU
 * can copy the tree, and come back as one. */
#ifndef SHADOWCL_AGENT_GROUP_H
#define SHADOWCL_AGENT_GROUP_H

#include "agent/targets.h"
#include "agent/tree.h"

struct group {
    struct tree tree;
    bool *resumes;          /* owned; for each process of the tree: it ran before */
    struct targets targets; /* those that listen, as they are now */
};

/* Refuses when nobody of the tree is under shadowcl, or somebody uses OpenCL without it. */
int group_find(struct group *group, pid_t root, struct error *err);
/* The same of one process without its children, unless `whole`. */
int group_find_alone(struct group *group, pid_t root, bool whole, struct error *err);
/* Finds the whole tree as it is, and wakes nobody. Those that listen, or should, are in `targets`,
 * and have been asked by ask_nodes(); one that can't be had has failed there. */
int group_look(struct group *group, pid_t root, struct error *err);
/* Refuses where there are child processes that are not to come along. */
int group_check_children(const struct group *group, bool whole, struct error *err);
/* Suspends all and lets them leave, or none. */
int group_leave(struct group *group, double deadline, struct error *err);
/* Wakes those that have left; they stay suspended. */
int group_wake(struct group *group, struct error *err);
/* Wakes, and resumes those that ran before; `targets` says how that went. */
int group_return(struct group *group, const char *device, bool strict, struct error *err);
/* Those that were started since the tree was read, into it: how many, or -1. */
int group_take_newcomers(struct group *group, struct error *err);
/* "suspended" where one of those that were spoken to is, as far as is known; else "running". */
const char *group_state(const struct group *group);
void group_finish(struct group *group);

#endif
