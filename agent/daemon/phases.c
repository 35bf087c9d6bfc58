/* SPDX-License-Identifier: Apache-2.0 */
/* `progress` events: see phases.h. At each turn one process that has not ended yet is asked, so
 * that many of them cost no more than one; those that have ended since are told once more. */
#include "agent/daemon/phases.h"

#include "agent/daemon/agent.h"
#include "agent/progress.h"
#include "agent/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Seconds. Short commands are not held up by questions. */
static const double first_after = 0.3, interval = 0.1;

/* Of `doing`. */
static const char suspending[] = "suspending", resuming[] = "resuming";

/* The job's thread alone looks at these. */
static const char *last_doing;
static double first, next, last;
static size_t turn;
static pid_t *ended; /* owned; whose end is told */
static size_t num_ended;

/* What has come down, or is up again, by what the process says of itself. */
static uint64_t bytes_done(const control_response *response, bool is_up)
{
    switch (response->state) {
    case SHADOWCL__CONTROL__STATE__RUNNING:
        return is_up ? response->device_bytes - response->owed_bytes : response->captured_bytes;
    case SHADOWCL__CONTROL__STATE__SUSPENDED:
        return is_up ? 0 : response->device_bytes;
    case SHADOWCL__CONTROL__STATE__REBUILDING:
        return response->restored_bytes;
    default:
        return response->captured_bytes;
    }
}

static void post(struct job *job, const char *doing, pid_t pid, const control_response *response)
{
    bool is_up = !strcmp(doing, resuming);
    uint64_t of = response->device_bytes, bytes = bytes_done(response, is_up);
    json_t *id = job->id ? json_deep_copy(job->id) : json_null();
    job_post(job, "progress",
             json_pack("{s:o, s:s, s:s, s:i, s:I, s:I}", "id", id, "command",
                       command_name(job->request.command), "phase",
                       control_state_name(response->state), "pid", (int)pid, "bytes",
                       (json_int_t)(bytes < of ? bytes : of), "of", (json_int_t)of));
}

static bool is_told(pid_t pid)
{
    for (size_t i = 0; i < num_ended; i++)
        if (ended[i] == pid)
            return true;
    return false;
}

static void post_end(struct job *job, const char *doing, const struct exchange *exchange)
{
    pid_t pid = exchange->peer->pid;
    pid_t *longer = exchange->response ? realloc(ended, (num_ended + 1) * sizeof *ended) : NULL;
    if (!longer)
        return;
    ended = longer;
    ended[num_ended++] = pid;
    post(job, doing, pid, exchange->response);
}

static void ask_one(struct job *job, const char *doing, const struct exchange *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct exchange *exchange = &list[(turn + i) % count];
        if (exchange->end != EXCHANGE_PENDING)
            continue;
        turn += i + 1;
        control_response *response = progress_ask(exchange->peer);
        if (!response)
            return;
        post(job, doing, exchange->peer->pid, response);
        shadowcl__control__response__free_unpacked(response, NULL);
        return;
    }
}

static void tell_ends(struct job *job, const char *doing, const struct exchange *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].end != EXCHANGE_PENDING && !is_told(list[i].peer->pid))
            post_end(job, doing, &list[i]);
}

static void look(const char *doing, const struct exchange *list, size_t count, void *data)
{
    struct agent *agent = data;
    struct job *job = agent->jobs.alone;
    double now = text_clock();
    if (doing != last_doing || now - last > first_after) {
        num_ended = 0;
        first = next = now + first_after;
    }
    last_doing = doing;
    last = now;
    if (!job || now < first || (strcmp(doing, suspending) != 0 && strcmp(doing, resuming) != 0))
        return;
    tell_ends(job, doing, list, count);
    if (now >= next) {
        next = now + interval;
        ask_one(job, doing, list, count);
    }
    last = text_clock(); /* what the question took is no pause */
}

void phases_start(struct agent *agent)
{
    progress_observe(look, agent);
}
