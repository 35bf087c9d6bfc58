/* SPDX-License-Identifier: Apache-2.0 */
/* The agent: what its parts share. Everything here belongs to the event loop's thread; jobs get
 * what they need when they are made. */
#ifndef SHADOWCL_DAEMON_AGENT_H
#define SHADOWCL_DAEMON_AGENT_H

#include "agent/daemon/channel.h"
#include "agent/daemon/job.h"
#include "agent/daemon/journal.h"
#include "agent/daemon/mark.h"
#include "agent/daemon/settings.h"
#include "agent/daemon/watch.h"

#include <uv.h>

enum { PROTOCOL_MAJOR = 1, PROTOCOL_MINOR = 0 };

struct agent {
    uv_loop_t *loop;
    struct settings settings;
    struct channels channels;
    struct jobs jobs;
    struct journal journal;
    struct mark mark;
    struct watch watch;
    char boot[64]; /* the guest's boot id */
};

/* Changes the state, marks it in the runtime directories, and tells the hosts. */
int agent_set_state(struct agent *agent, enum agent_state state, struct error *err);
/* To every channel. Takes `data`. */
void agent_send_event(struct agent *agent, const char *name, json_t *data);

#endif
