/* SPDX-License-Identifier: Apache-2.0 */
/* `progress` events: see phases.h. At each turn one process that has not ended yet is asked, so
 * that many of them cost no more than one. */
#include "agent/daemon/phases.h"

#include "agent/daemon/agent.h"
#include "agent/progress.h"
#include "agent/text.h"

#include <stdio.h>
#include <stdlib.h>

/* Seconds. Short commands are not held up by questions. */
static const double first_after = 0.3, interval = 0.1;

/* The job's thread alone looks at these. */
static const char *last_doing;
static double next, last;
static size_t turn;

static void post(struct job *job, pid_t pid, const char *phase, const control_response *response)
{
    uint64_t of = response->device_bytes;
    uint64_t bytes = response->state == SHADOWCL__CONTROL__STATE__SUSPENDED ||
                             response->state == SHADOWCL__CONTROL__STATE__RUNNING
                         ? of
                         : response->captured_bytes;
    json_t *id = job->id ? json_deep_copy(job->id) : json_null();
    job_post(job, "progress",
             json_pack("{s:o, s:s, s:s, s:i, s:I, s:I}", "id", id, "command",
                       command_name(job->request.command), "phase", phase, "pid", (int)pid, "bytes",
                       (json_int_t)bytes, "of", (json_int_t)of));
}

static void look(const char *doing, const struct exchange *list, size_t count, void *data)
{
    struct agent *agent = data;
    struct job *job = agent->jobs.alone;
    double now = text_clock();
    bool is_new = doing != last_doing || now - last > first_after;
    last_doing = doing;
    last = now;
    if (is_new)
        next = now + first_after;
    if (!job || now < next)
        return;
    next = now + interval;
    for (size_t i = 0; i < count; i++) {
        const struct exchange *exchange = &list[(turn + i) % count];
        if (exchange->end != EXCHANGE_PENDING)
            continue;
        turn += i + 1;
        control_response *response = progress_ask(exchange->peer);
        if (!response)
            return;
        post(job, exchange->peer->pid, control_state_name(response->state), response);
        shadowcl__control__response__free_unpacked(response, NULL);
        return;
    }
}

void phases_start(struct agent *agent)
{
    progress_observe(look, agent);
}
