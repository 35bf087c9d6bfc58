/* SPDX-License-Identifier: Apache-2.0 */
/* From a message to what is done about it: see command.h. */
#include "agent/daemon/command.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/hooks.h"
#include "agent/daemon/logbook.h"
#include "agent/daemon/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void (*const runs[COMMAND_COUNT])(struct job *job) = {
    [COMMAND_STATUS] = status_run,
    [COMMAND_PREPARE] = prepare_run,
    [COMMAND_SUSPEND] = suspend_run,
    [COMMAND_RESUME] = resume_run,
};

/* Takes `reply`. */
static void send_reply(struct agent *agent, uint64_t channel, json_t *reply, json_t *id)
{
    reply_fit(reply);
    json_t *whole = reply_with_id(reply, id);
    channels_send(&agent->channels, channel, whole);
    json_decref(whole);
    json_decref(reply);
}

static json_t *busy(const char *what, const char *todo)
{
    struct error err = {0};
    error_object(&err, "agent");
    error_set(&err, 0, "%s", what);
    error_todo(&err, "%s", todo);
    return reply_error(REPLY_BUSY, &err, NULL);
}

static json_t *capabilities(struct agent *agent)
{
    static const char *const events[] = {"progress", "state", "process", "residue"};
    struct hooks hooks;
    struct error err = {0};
    json_t *commands = json_array();
    json_t *names = json_array();
    for (int i = 0; i < COMMAND_COUNT; i++)
        json_array_append_new(commands, json_string(command_name((enum command)i)));
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        json_array_append_new(names, json_string(events[i]));
    if (hooks_find(&hooks, agent->settings.hooks, &err) < 0)
        logbook_error("hooks", &err);
    json_t *value =
        json_pack("{s:s, s:{s:i, s:i}, s:o, s:o, s:o}", "version", SHADOWCL_VERSION, "protocol",
                  "major", (int)PROTOCOL_MAJOR, "minor", (int)PROTOCOL_MINOR, "commands", commands,
                  "events", names, "hooks", hooks_names(&hooks));
    hooks_finish(&hooks);
    return reply_return(value);
}

static bool is_withdrawable(const struct job *job, const json_t *id)
{
    if (job->request.command != COMMAND_SUSPEND && job->request.command != COMMAND_PREPARE &&
        job->request.command != COMMAND_DEVICE_WAIT)
        return false;
    return !id || (job->id && json_equal(job->id, id));
}

/* Without an id it is the command that excludes others, if one is at work, else the one that waits.
 */
static json_t *cancel(struct agent *agent, const json_t *id)
{
    bool done = false;
    struct job *alone = agent->jobs.alone;
    if (!id && alone)
        return reply_return(json_pack("{s:b}", "cancelled",
                                      (int)(is_withdrawable(alone, NULL) && job_cancel(alone))));
    for (struct job *job = agent->jobs.first; job; job = job->next)
        if (is_withdrawable(job, id) && job_cancel(job))
            done = true;
    return reply_return(json_pack("{s:b}", "cancelled", (int)done));
}

static json_t *latest_messages(const json_t *arguments)
{
    size_t count = (size_t)request_number(arguments, "lines", 100);
    return reply_return(json_pack("{s:o}", "lines", logbook_latest(count)));
}

/* NULL for those that take their time. */
static json_t *answer_at_once(struct agent *agent, const struct request *request)
{
    switch (request->command) {
    case COMMAND_PING:
        return reply_return(json_object());
    case COMMAND_CAPABILITIES:
        return capabilities(agent);
    case COMMAND_CANCEL:
        return cancel(agent, json_object_get(request->arguments, "id"));
    case COMMAND_LOG:
        return latest_messages(request->arguments);
    default:
        return NULL;
    }
}

/* The loop's part of what ends: the state that it leaves. */
static void finish_alone(struct job *job)
{
    struct agent *agent = job->agent;
    struct error err = {0};
    if (job->after != agent->mark.state && agent_set_state(agent, job->after, &err) < 0)
        logbook_error("state", &err);
    watch_take(&agent->watch, job->processes);
    logbook_write("%s: %s", command_name(job->request.command),
                  json_object_get(job->reply, "return") ? "done" : "failed");
}

/* The state is that of the moment of the answer. */
static void finish_status(struct job *job)
{
    const struct job *alone = job->agent->jobs.alone;
    json_t *value = json_object_get(job->reply, "return");
    if (value) {
        json_object_set_new(value, "state", json_string(agent_state_name(job->agent->mark.state)));
        json_object_set_new(value, "command",
                            alone ? json_string(command_name(alone->request.command))
                                  : json_null());
    }
    watch_take(&job->agent->watch, job->processes);
}

/* NULL when it has been started. */
static json_t *start_alone(struct agent *agent, uint64_t channel, struct request *request)
{
    enum agent_state during = agent->mark.state;
    struct error err = {0};
    char text[64];
    if (agent->jobs.alone) {
        snprintf(text, sizeof text, "`%s` is at work",
                 command_name(agent->jobs.alone->request.command));
        return busy(text, "wait for its answer, or cancel it");
    }
    struct job *job = job_create(agent, request, channel);
    if (!job)
        return busy("there is no memory for it", "try again later");
    if (job->request.command == COMMAND_SUSPEND && job->was == STATE_RUNNING)
        during = STATE_SUSPENDING;
    if (job->request.command == COMMAND_RESUME && job->was == STATE_SUSPENDED)
        during = STATE_RESUMING;
    if (during == STATE_SUSPENDING || (job->request.command == COMMAND_RESUME &&
                                       json_object_get(job->request.arguments, "devices")))
        request_devices(job->request.arguments, agent->mark.devices, sizeof agent->mark.devices);
    if (during != job->was && agent_set_state(agent, during, &err) < 0) {
        job->reply = reply_error(REPLY_INTERNAL, &err, NULL);
        job_finish(job);
        return NULL;
    }
    agent->jobs.alone = job;
    job->run = runs[job->request.command];
    job->done = finish_alone;
    logbook_write("%s", job->request.text);
    job_start(job);
    return NULL;
}

static json_t *start_reading(struct agent *agent, uint64_t channel, struct request *request)
{
    if (agent->jobs.num_reading >= JOBS_MOST_READING)
        return busy("too many commands at once", "wait for their answers");
    struct job *job = job_create(agent, request, channel);
    if (!job)
        return busy("there is no memory for it", "try again later");
    job->run = runs[job->request.command];
    job->done = finish_status;
    job_start(job);
    return NULL;
}

static json_t *start_waiting(struct agent *agent, uint64_t channel, struct request *request)
{
    if (agent->jobs.num_waiting >= JOBS_MOST_WAITING)
        return busy("too many commands wait at once", "wait for their answers, or cancel them");
    struct job *job = job_create(agent, request, channel);
    if (!job)
        return busy("there is no memory for it", "try again later");
    device_wait_start(job);
    return NULL;
}

static json_t *start(struct agent *agent, uint64_t channel, struct request *request)
{
    if (request->command == COMMAND_STATUS)
        return start_reading(agent, channel, request);
    if (request->command == COMMAND_DEVICE_WAIT)
        return start_waiting(agent, channel, request);
    return start_alone(agent, channel, request);
}

static json_t *other_request(void)
{
    struct error err = {0};
    error_object(&err, "member `id`");
    error_set(&err, 0, "it was given to another command");
    error_todo(&err, "give each command an id of its own, a UUID");
    return reply_error(REPLY_BAD_ARGUMENT, &err, NULL);
}

/* A host that hears nothing asks again and again: it is answered once. */
static bool is_awaited_by(const struct job *job, uint64_t channel)
{
    for (size_t i = 0; i < job->num_channels; i++)
        if (job->channels[i] == channel)
            return true;
    return false;
}

/* Does it wait for the same already? */
static bool join(struct agent *agent, uint64_t channel, const struct request *request,
                 json_t **reply)
{
    for (struct job *job = agent->jobs.first; job; job = job->next) {
        if (!job->request.key || strcmp(job->request.key, request->key))
            continue;
        if (strcmp(job->request.text, request->text))
            *reply = other_request();
        else if (is_awaited_by(job, channel))
            return true;
        else if (job->num_channels == JOB_MOST_CHANNELS)
            *reply = busy("too many channels ask the same", "wait for the answer");
        else
            job->channels[job->num_channels++] = channel;
        return true;
    }
    return false;
}

/* The answer to a command that came before; true when there is nothing else to do. */
static bool is_repeated(struct agent *agent, uint64_t channel, const struct request *request,
                        json_t **reply)
{
    const char *text;
    if (!request->key)
        return false;
    if (join(agent, channel, request, reply))
        return true;
    json_t *before = journal_find(&agent->journal, request->key, &text);
    if (!before)
        return false;
    *reply = strcmp(text, request->text) ? other_request() : json_incref(before);
    return true;
}

void command_take(struct agent *agent, uint64_t channel, json_t *message)
{
    struct request request;
    struct error err = {0};
    const char *class;
    json_t *reply = NULL;
    json_t *id = json_object_get(message, "id");
    if (request_read(&request, message, &class, &err) < 0) {
        send_reply(agent, channel, reply_error(class, &err, NULL), id);
        return;
    }
    if (!is_repeated(agent, channel, &request, &reply)) {
        reply = answer_at_once(agent, &request);
        if (!reply)
            reply = start(agent, channel, &request);
    }
    if (reply)
        send_reply(agent, channel, reply, id);
    request_finish(&request);
}

static void finish_recovery(struct job *job)
{
    finish_alone(job);
    if (job->agent->mark.state != STATE_RUNNING)
        logbook_write(
            "not all could be resumed: send `resume`, or `shadowcl resume --all` as root");
}

void command_recover(struct agent *agent)
{
    struct request request = {.command = COMMAND_RESUME, .arguments = json_object()};
    request.text = strdup("resume, after an agent that died while suspending");
    struct job *job = job_create(agent, &request, 0);
    if (!job)
        return;
    json_object_set_new(job->request.arguments, "hooks", json_boolean(agent->mark.hooks));
    job->was = job->after = STATE_SUSPENDED;
    job->is_recovery = true;
    agent->jobs.alone = job;
    job->run = resume_run;
    job->done = finish_recovery;
    logbook_write("%s", job->request.text);
    job_start(job);
}
