/* SPDX-License-Identifier: Apache-2.0 */
/* `resume`: the hooks run, then each process goes on, where it was or elsewhere. One that can't
 * stays suspended, and with it the state, so that it can be tried again. */
#include "agent/ask.h"
#include "agent/daemon/agent.h"
#include "agent/daemon/command.h"
#include "agent/daemon/crowd.h"
#include "agent/daemon/hooks.h"
#include "agent/daemon/logbook.h"
#include "agent/daemon/reply.h"
#include "agent/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Seconds: some drivers take minutes to build programs. */
static const double resume_time = 600, settle_time = 150;

struct resumption {
    struct job *job;
    struct crowd crowd;
    json_t *results; /* owned; of the hooks */
    bool is_done_already;
    double start, hooked; /* moments */
};

static json_t *describe(const struct resumption *r)
{
    double now = text_clock();
    double hooked = r->hooked > 0 ? r->hooked : r->start;
    return json_pack("{s:o, s:O, s:b, s:{s:f, s:f, s:f}}", "processes",
                     crowd_elements(&r->crowd, ANSWER_RESUME), "hooks", r->results, "already",
                     (int)r->is_done_already, "ms", "hooks", (hooked - r->start) * 1e3, "resume",
                     (now - hooked) * 1e3, "total", (now - r->start) * 1e3);
}

static int fail(struct resumption *r, const char *class, const struct error *err)
{
    r->job->reply = reply_error(class, err, describe(r));
    return -1;
}

static int run_hooks(struct resumption *r)
{
    struct hooks hooks = {0};
    struct error err = {0};
    int result = 0;
    if (r->job->was != STATE_SUSPENDED || !request_flag(r->job->request.arguments, "hooks", true))
        return 0;
    if (hooks_find(&hooks, r->job->agent->settings.hooks, &err) < 0)
        return fail(r, REPLY_REFUSED, &err);
    if (hooks_return(&hooks, r->job, r->job->agent->settings.hook_timeout, r->results, &err) < 0)
        result = fail(r, REPLY_FAILED, &err);
    hooks_finish(&hooks);
    r->hooked = text_clock();
    return result;
}

/* Where a process is to go on. */
static const char *device_of(const struct resumption *r, const struct report *report)
{
    char pid[16];
    const json_t *arguments = r->job->request.arguments;
    snprintf(pid, sizeof pid, "%d", (int)report->pid);
    const char *own = json_string_value(json_object_get(json_object_get(arguments, "map"), pid));
    return own ? own : request_text(arguments, "device", "");
}

/* One request goes to many processes: those with the same device are asked together. */
static void resume_processes(struct resumption *r)
{
    struct report *list = r->crowd.targets.list;
    size_t count = r->crowd.num_asked;
    bool strict = request_flag(r->job->request.arguments, "strict", false);
    bool *asked = calloc(count + 1, sizeof *asked);
    for (size_t i = 0; asked && i < count; i++) {
        if (asked[i])
            continue;
        const char *device = device_of(r, &list[i]);
        struct report *group = calloc(count, sizeof *group);
        for (size_t j = i; group && j < count; j++) {
            group[j] = list[j];
            if (asked[j] || strcmp(device_of(r, &list[j]), device))
                group[j].peer = NULL; /* is not asked */
        }
        if (group)
            ask_resume(group + i, count - i, device, strict, resume_time);
        for (size_t j = i; group && j < count; j++)
            if (group[j].peer) {
                list[j] = group[j];
                asked[j] = true;
            }
        free(group);
    }
    free(asked);
}

static const struct report *still_suspended(struct resumption *r)
{
    for (size_t i = 0; i < r->crowd.targets.count; i++) {
        struct report *report = &r->crowd.targets.list[i];
        if (report->failed && !strcmp(report->state, "gone"))
            report->failed = false; /* nothing is left to be resumed */
        else if (report->failed)
            return report;
    }
    return NULL;
}

static bool is_settled(const struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->targets.count; i++)
        if (!strcmp(crowd->targets.list[i].state, "draining") ||
            !strcmp(crowd->targets.list[i].state, "capturing"))
            return false;
    return true;
}

/* What an agent that died has asked for may still be going on. */
static int find(struct resumption *r, struct error *err)
{
    double until = text_clock() + (r->job->is_recovery ? settle_time : 0);
    int result = crowd_find(&r->crowd, err);
    while (result == 0 && !is_settled(&r->crowd) && text_clock() < until) {
        crowd_finish(&r->crowd);
        usleep(100000);
        result = crowd_find(&r->crowd, err);
    }
    return result;
}

static int go(struct resumption *r)
{
    struct error err = {0};
    if (find(r, &err) < 0)
        return fail(r, REPLY_INTERNAL, &err);
    crowd_leave_out(&r->crowd, "running");
    r->is_done_already = r->job->was == STATE_RUNNING && r->crowd.num_asked == 0;
    if (r->is_done_already)
        return 0;
    if (run_hooks(r) < 0)
        return -1;
    resume_processes(r);
    const struct report *failed = still_suspended(r);
    if (!failed)
        return 0;
    err = crowd_blame(failed);
    return fail(r, REPLY_FAILED, &err);
}

void resume_run(struct job *job)
{
    struct resumption r = {.job = job, .start = text_clock()};
    r.results = json_array();
    if (go(&r) == 0) {
        job->after = STATE_RUNNING;
        job->reply = reply_return(describe(&r));
    }
    job->processes = crowd_states(&r.crowd);
    crowd_finish(&r.crowd);
    json_decref(r.results);
}
