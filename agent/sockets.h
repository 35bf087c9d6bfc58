/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of a machine, as the kernel lists them. */
#ifndef SHADOWCL_AGENT_SOCKETS_H
#define SHADOWCL_AGENT_SOCKETS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct unix_link {
    uint64_t inode, peer; /* two ends of a connection */
};

/* All connected Unix sockets of this network namespace, *list being the caller's; 0 where the
 * kernel does not tell. */
size_t sockets_list_unix(struct unix_link **list);

struct tcp_link {
    uint64_t inode;
    unsigned remote_port;
};

/* The TCP connections of the process's network namespace. */
size_t sockets_list_tcp(pid_t pid, struct tcp_link **list);

#endif
