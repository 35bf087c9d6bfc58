/* SPDX-License-Identifier: Apache-2.0 */
/* The hosts that we speak with, over whatever: each channel is one conversation. */
#ifndef SHADOWCL_DAEMON_CHANNEL_H
#define SHADOWCL_DAEMON_CHANNEL_H

#include "agent/lines.h"

#include <stdint.h>

enum { CHANNELS_MOST = 32 };

struct agent;

struct channel {
    struct agent *agent;
    struct lines *lines;
    uint64_t number; /* never used twice */
    char name[128];  /* for the log */
    /* Called when it has gone, before it is freed; `err->reason` is empty at an orderly end. */
    void (*on_end)(void *data, const struct error *err);
    void *data;
    struct channel *next;
};

struct channels {
    struct channel *first; /* owned */
    size_t count;
    uint64_t last_number;
};

/* Takes over `fd`, also on failure; says the greeting. */
int channel_open(struct agent *agent, int fd, const char *name,
                 void (*on_end)(void *data, const struct error *err), void *data,
                 struct channel **out, struct error *err);
void channel_close(struct channel *channel);
void channels_close(struct channels *channels);
/* To one, if it is still there, or to all. */
void channels_send(const struct channels *channels, uint64_t number, const json_t *message);
void channels_send_all(const struct channels *channels, const json_t *message);

#endif
