/* SPDX-License-Identifier: Apache-2.0 */
/* Who has a device's nodes open or mapped, among all processes that we may look into. */
#ifndef SHADOWCL_DAEMON_USERS_H
#define SHADOWCL_DAEMON_USERS_H

#include "agent/daemon/pci.h"

#include <sys/types.h>

struct user {
    pid_t pid;
    bool has_shim;
    char command[64];
    char path[512]; /* as /proc has it */
    char what[600]; /* "fd 7 -> /dev/dri/card0" */
};

struct users {
    struct user *list; /* owned */
    size_t count;
};

/* All users of device nodes, of those in `pci` and of the usual patterns. Mappings of processes
 * whose pids are in `proved` are not looked for: they have shown themselves that they have none,
 * and a process with a compiler in it has many. But they don't know what we were told by
 * SHADOWCL_DEVICE_NODES: where that is set, all are looked into. */
void users_find(struct users *users, const struct pci *pci, const pid_t *proved, size_t num_proved);
void users_finish(struct users *users);
/* Keeps those that hold one of the devices named (addresses separated by blanks; all where empty).
 */
void users_keep(struct users *users, const struct pci *pci, const char *devices);
/* USER of docs/protocol.md; the caller's. */
json_t *users_describe(const struct users *users);
json_t *user_describe(const struct user *user);

#endif
