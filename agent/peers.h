/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that listen in the runtime directories. Who they are is what the kernel says of
 * the socket's other end, never what the socket is called. */
#ifndef SHADOWCL_AGENT_PEERS_H
#define SHADOWCL_AGENT_PEERS_H

#include "agent/runtime_dir.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct peer {
    const struct runtime_dir *dir; /* borrowed from the peers' */
    char name[NAME_MAX + 1];
    pid_t pid;
    uid_t uid;
};

struct peers {
    struct runtime_dirs dirs;
    struct peer *list; /* owned; by pid */
    size_t count;
};

/* Sockets that are refused are said on stderr; stale ones of ours are removed. Fails only where
 * runtime_dirs_open does, or without memory. */
int peers_scan(struct peers *peers, struct error *err);
void peers_finish(struct peers *peers);
/* A connected, non-blocking socket, or -1 and errno (EAGAIN: its queue is full, try again). */
int peer_connect(const struct peer *peer);

#endif
