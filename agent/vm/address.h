/* SPDX-License-Identifier: Apache-2.0 */
/* Where a virtual machine's channels are: the path of a Unix socket, or HOST:PORT; also with
 * `unix:` or `tcp:` before it, and [ADDRESS]:PORT. */
#ifndef SHADOWCL_AGENT_VM_ADDRESS_H
#define SHADOWCL_AGENT_VM_ADDRESS_H

#include "shim/error.h"

/* A socket that connects or is connected, non-blocking; -1 and errno (EAGAIN: try again later). */
int address_dial(const char *address, struct error *err);
/* 1 when it is connected, 0 when not yet, -1 and errno when it failed. */
int address_is_connected(int fd);

#endif
