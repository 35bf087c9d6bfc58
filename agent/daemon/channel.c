/* SPDX-License-Identifier: Apache-2.0 */
/* The hosts that we speak with: see channel.h. */
#include "agent/daemon/channel.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/command.h"
#include "agent/daemon/logbook.h"
#include "agent/daemon/reply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void on_message(void *data, json_t *message)
{
    struct channel *channel = data;
    command_take(channel->agent, channel->number, message);
}

static void on_bad_line(void *data, const struct error *err)
{
    struct channel *channel = data;
    json_t *reply = reply_error(REPLY_BAD_LINE, err, NULL);
    lines_send(channel->lines, reply);
    json_decref(reply);
}

static void on_end(void *data, const struct error *err)
{
    struct channel *channel = data;
    void (*tell)(void *data, const struct error *err) = channel->on_end;
    void *whom = channel->data;
    channel_close(channel);
    tell(whom, err);
}

static const struct lines_handler handler = {on_message, on_bad_line, on_end};

static void greet(const struct channel *channel)
{
    const struct agent *agent = channel->agent;
    json_t *greeting =
        json_pack("{s:{s:s, s:{s:i, s:i}, s:s, s:s}}", "shadowcl", "version", SHADOWCL_VERSION,
                  "protocol", "major", (int)PROTOCOL_MAJOR, "minor", (int)PROTOCOL_MINOR, "boot",
                  agent->boot, "state", agent_state_name(agent->mark.state));
    lines_send(channel->lines, greeting);
    json_decref(greeting);
}

int channel_open(struct agent *agent, int fd, const char *name,
                 void (*tell_end)(void *data, const struct error *err), void *data,
                 struct channel **out, struct error *err)
{
    struct channel *channel = calloc(1, sizeof *channel);
    if (!channel || agent->channels.count >= CHANNELS_MOST) {
        error_object(err, "connection");
        error_set(err, channel ? 0 : ENOMEM, "it is one too many");
        error_todo(err, "close others first");
        close(fd);
        free(channel);
        return -1;
    }
    if (lines_open(&channel->lines, agent->loop, fd, &handler, channel, err) < 0) {
        free(channel);
        return -1;
    }
    channel->agent = agent;
    channel->number = ++agent->channels.last_number;
    channel->on_end = tell_end;
    channel->data = data;
    snprintf(channel->name, sizeof channel->name, "%s", name);
    channel->next = agent->channels.first;
    agent->channels.first = channel;
    agent->channels.count++;
    *out = channel;
    greet(channel);
    return 0;
}

void channel_close(struct channel *channel)
{
    struct channels *channels = &channel->agent->channels;
    struct channel **at = &channels->first;
    while (*at != channel)
        at = &(*at)->next;
    *at = channel->next;
    channels->count--;
    lines_close(channel->lines);
    free(channel);
}

void channels_close(struct channels *channels)
{
    struct channel *next;
    for (struct channel *channel = channels->first; channel; channel = next) {
        next = channel->next;
        channel_close(channel);
    }
}

void channels_send(const struct channels *channels, uint64_t number, const json_t *message)
{
    for (const struct channel *channel = channels->first; channel; channel = channel->next)
        if (channel->number == number)
            lines_send(channel->lines, message);
}

void channels_send_all(const struct channels *channels, const json_t *message)
{
    for (const struct channel *channel = channels->first; channel; channel = channel->next)
        lines_send(channel->lines, message);
}
