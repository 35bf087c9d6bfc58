/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that take their time: they run on a thread, while the event loop goes on answering. */
#ifndef SHADOWCL_DAEMON_JOB_H
#define SHADOWCL_DAEMON_JOB_H

#include "agent/daemon/mark.h"
#include "agent/daemon/request.h"

#include <stdatomic.h>
#include <stdint.h>
#include <uv.h>

enum { JOB_MOST_CHANNELS = 8, JOBS_MOST_READING = 6, JOBS_MOST_WAITING = 64 };

struct agent;

/* A command at work can be withdrawn until it has come to its end: one of the two is first. */
enum job_fate { JOB_OPEN, JOB_ENDING, JOB_CANCELLED };

struct job {
    struct agent *agent;
    struct request request;
    json_t *id;                           /* owned; NULL where there is none */
    uint64_t channels[JOB_MOST_CHANNELS]; /* who wants the answer */
    size_t num_channels;
    atomic_int fate;
    json_t *reply;                 /* owned; what the thread has to say */
    enum agent_state was;          /* the state when it began */
    enum agent_state after;        /* the state that it leaves */
    json_t *seen;                  /* owned; pids of those that were seen suspended before */
    json_t *processes;             /* owned; what it saw of each process, or NULL */
    bool is_recovery;              /* the agent's own, after one that died */
    void (*run)(struct job *job);  /* on a thread */
    void (*done)(struct job *job); /* on the loop, before the answer; may be NULL */
    uv_work_t work;
    void *data; /* of whoever waits without a thread */
    struct job *next;
};

struct jobs {
    struct job *first;  /* owned; all that have not ended */
    struct job *alone;  /* prepare, suspend, resume: one at a time */
    size_t num_reading; /* on threads */
    size_t num_waiting; /* without */
    uv_async_t wake;
    uv_mutex_t lock;
    json_t *posted; /* guarded by lock; events from threads */
};

int jobs_start(struct agent *agent);
void jobs_stop(struct agent *agent);

/* Takes what `request` owns; `channel` is 0 for the agent's own. NULL without memory. */
struct job *job_create(struct agent *agent, struct request *request, uint64_t channel);
/* Runs it on a thread; then `done`, then the answer. */
void job_start(struct job *job);
/* The end, on the loop: sends the reply, remembers it and frees the job. */
void job_finish(struct job *job);
/* From a thread: an event for all channels; takes `data`. */
void job_post(struct job *job, const char *name, json_t *data);

bool job_is_cancelled(struct job *job);
/* Nobody can withdraw it any more; false when somebody has. */
bool job_close(struct job *job);
/* Withdraws it; false when it is too late. */
bool job_cancel(struct job *job);

#endif
