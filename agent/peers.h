/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that listen in the runtime directories. Who they are is what the kernel says of
 * the socket's other end, never what the socket is called. */
#ifndef SHADOWCL_AGENT_PEERS_H
#define SHADOWCL_AGENT_PEERS_H

#include "agent/runtime_dir.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* Nobody else's number: we connect as who we are. */
#define PEER_AS_WE_ARE ((uid_t)-1)

struct peer {
    const struct runtime_dir *dir; /* borrowed from the peers' */
    char name[NAME_MAX + 1];
    pid_t pid;
    uid_t uid;
    uid_t as; /* the user as whom it is spoken to, or PEER_AS_WE_ARE */
};

struct peers {
    struct runtime_dirs dirs;
    struct runtime_dir **places; /* owned, and each: where one process alone is spoken to */
    size_t num_places;
    struct peer *list; /* owned; by pid */
    size_t count;
};

/* Those that listen where we look; and of `pids` those that listen where their own environment says
 * (place.h). With no pids: those in containers too, unless SHADOWCL_RUNTIME_DIR is set. Sockets
 * that are refused are said on stderr; stale ones of ours are removed. Fails only where
 * runtime_dirs_open does, or without memory. */
int peers_scan(struct peers *peers, const pid_t *pids, size_t num_pids, struct error *err);
bool peers_have(const struct peers *peers, pid_t pid);
void peers_finish(struct peers *peers);
/* A connected, non-blocking socket, or -1 and errno (EAGAIN: its queue is full, try again). */
int peer_connect(const struct peer *peer);

#endif
