/* SPDX-License-Identifier: Apache-2.0 */
/* The agent: what its parts share. */
#include "agent/daemon/agent.h"

#include "agent/daemon/logbook.h"
#include "agent/daemon/reply.h"

#include <sys/time.h>

void agent_send_event(struct agent *agent, const char *name, json_t *data)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    json_t *event =
        json_pack("{s:s, s:o, s:{s:I, s:I}}", "event", name, "data", data, "timestamp", "seconds",
                  (json_int_t)now.tv_sec, "microseconds", (json_int_t)now.tv_usec);
    reply_fit(event);
    channels_send_all(&agent->channels, event);
    json_decref(event);
}

int agent_set_state(struct agent *agent, enum agent_state state, struct error *err)
{
    enum agent_state before = agent->mark.state;
    if (mark_set(&agent->mark, state, err) < 0)
        return -1;
    logbook_write("state: %s, was %s", agent_state_name(state), agent_state_name(before));
    agent_send_event(agent, "state",
                     json_pack("{s:s, s:s}", "state", agent_state_name(state), "before",
                               agent_state_name(before)));
    return 0;
}
