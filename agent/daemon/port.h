/* SPDX-License-Identifier: Apache-2.0 */
/* A character device with the host at its other end: a virtio-serial port, a serial line, a Xen
 * console, a terminal. While nobody is there it reads as ended: it is tried again. */
#ifndef SHADOWCL_DAEMON_PORT_H
#define SHADOWCL_DAEMON_PORT_H

struct agent;
struct port;

/* `path` is borrowed. NULL without memory. Never fails otherwise: a node that is not there may
 * come. */
struct port *port_create(struct agent *agent, const char *path);
/* Before the loop's end; NULL is fine. */
void port_destroy(struct port *port);

#endif
