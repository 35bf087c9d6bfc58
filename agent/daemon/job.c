/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that take their time: see job.h. */
#include "agent/daemon/job.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/logbook.h"
#include "agent/daemon/reply.h"

#include <errno.h>
#include <stdlib.h>

static void on_wake(uv_async_t *wake)
{
    struct agent *agent = wake->data;
    struct jobs *jobs = &agent->jobs;
    uv_mutex_lock(&jobs->lock);
    json_t *posted = jobs->posted;
    jobs->posted = json_array();
    uv_mutex_unlock(&jobs->lock);
    for (size_t i = 0; i < json_array_size(posted); i++) {
        const json_t *event = json_array_get(posted, i);
        agent_send_event(agent, json_string_value(json_array_get(event, 0)),
                         json_incref(json_array_get(event, 1)));
    }
    json_decref(posted);
}

int jobs_start(struct agent *agent)
{
    struct jobs *jobs = &agent->jobs;
    jobs->posted = json_array();
    jobs->wake.data = agent;
    return jobs->posted && uv_mutex_init(&jobs->lock) == 0 &&
                   uv_async_init(agent->loop, &jobs->wake, on_wake) == 0
               ? 0
               : -1;
}

void jobs_stop(struct agent *agent)
{
    uv_close((uv_handle_t *)&agent->jobs.wake, NULL);
}

struct job *job_create(struct agent *agent, struct request *request, uint64_t channel)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    job->agent = agent;
    job->request = *request;
    job->id = json_incref(request->id);
    *request = (struct request){0};
    job->was = job->after = agent->mark.state;
    job->channels[0] = channel;
    job->num_channels = 1;
    job->seen = json_copy(agent->watch.suspended);
    job->next = agent->jobs.first;
    agent->jobs.first = job;
    return job;
}

static void run(uv_work_t *work)
{
    struct job *job = work->data;
    job->run(job);
}

static void after(uv_work_t *work, int status)
{
    struct job *job = work->data;
    struct jobs *jobs = &job->agent->jobs;
    on_wake(&jobs->wake); /* events come before the answer */
    if (jobs->alone == job)
        jobs->alone = NULL;
    else
        jobs->num_reading--;
    if (job->done)
        job->done(job);
    job_finish(job);
}

void job_start(struct job *job)
{
    struct jobs *jobs = &job->agent->jobs;
    job->work.data = job;
    if (jobs->alone != job)
        jobs->num_reading++;
    uv_queue_work(job->agent->loop, &job->work, run, after);
}

static void unlink_job(struct job *job)
{
    struct job **at = &job->agent->jobs.first;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
}

void job_finish(struct job *job)
{
    struct agent *agent = job->agent;
    struct error err = {0};
    if (!job->reply) {
        error_set(&err, ENOMEM, "there is no answer");
        job->reply = reply_error(REPLY_INTERNAL, &err, NULL);
    }
    reply_fit(job->reply);
    /* Before it is sent: an agent that dies in between gives the same answer again. */
    if (job->request.key && job->request.command != COMMAND_STATUS)
        journal_add(&agent->journal, job->request.key, job->request.text, job->reply);
    json_t *reply = reply_with_id(job->reply, job->id);
    for (size_t i = 0; i < job->num_channels; i++)
        channels_send(&agent->channels, job->channels[i], reply);
    json_decref(reply);
    unlink_job(job);
    request_finish(&job->request);
    json_decref(job->id);
    json_decref(job->reply);
    json_decref(job->seen);
    json_decref(job->processes);
    free(job);
}

void job_post(struct job *job, const char *name, json_t *data)
{
    struct jobs *jobs = &job->agent->jobs;
    uv_mutex_lock(&jobs->lock);
    json_array_append_new(jobs->posted, json_pack("[s, o]", name, data));
    uv_mutex_unlock(&jobs->lock);
    uv_async_send(&jobs->wake);
}

bool job_is_cancelled(struct job *job)
{
    return atomic_load(&job->fate) == JOB_CANCELLED;
}

static bool decide(struct job *job, int fate)
{
    int expected = JOB_OPEN;
    return atomic_compare_exchange_strong(&job->fate, &expected, fate) || expected == fate;
}

bool job_close(struct job *job)
{
    return decide(job, JOB_ENDING);
}

bool job_cancel(struct job *job)
{
    return decide(job, JOB_CANCELLED);
}
