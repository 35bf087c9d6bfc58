/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent was told on its command line. */
#ifndef SHADOWCL_DAEMON_SETTINGS_H
#define SHADOWCL_DAEMON_SETTINGS_H

#include <stddef.h>

enum { SETTINGS_MOST_CHANNELS = 8 };

struct settings {
    const char *ports[SETTINGS_MOST_CHANNELS];   /* borrowed from the arguments */
    const char *sockets[SETTINGS_MOST_CHANNELS]; /* the same */
    size_t num_ports, num_sockets;
    const char *hooks; /* the directory */
    double hook_timeout;
    double process_timeout; /* beyond the deadline, for capture and release */
    const char *log;        /* a file, or NULL for stderr */
};

#endif
