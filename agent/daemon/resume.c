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
#include "agent/together.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Somebody may have freed the programs without the agent: then the device is still away. */
static bool wants_hooks(const struct resumption *r)
{
    return (r->job->was == STATE_SUSPENDED || r->job->agent->mark.hooks) &&
           request_flag(r->job->request.arguments, "hooks", true);
}

static int run_hooks(struct resumption *r)
{
    struct hooks hooks = {0};
    struct error err = {0};
    int result = 0;
    if (!wants_hooks(r))
        return 0;
    if (hooks_find(&hooks, r->job->agent->settings.hooks, &err) < 0)
        return fail(r, REPLY_REFUSED, &err);
    if (hooks_return(&hooks, r->job, r->job->agent->settings.hook_timeout, r->results, &err) < 0)
        result = fail(r, REPLY_FAILED, &err);
    else
        r->job->agent->mark.hooks = false;
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

/* Asks those that go on on the same device together, and marks them in `asked`. */
static void resume_group(struct resumption *r, size_t first, bool *asked)
{
    struct report *list = r->crowd.targets.list;
    size_t count = r->crowd.targets.count;
    const json_t *arguments = r->job->request.arguments;
    struct ask_resume how = {.device = device_of(r, &list[first]),
                             .strict = request_flag(arguments, "strict", false),
                             .lazy = request_flag(arguments, "lazy", false)};
    struct report *group = calloc(count, sizeof *group);
    for (size_t i = first; group && i < count; i++) {
        group[i] = list[i];
        if (asked[i] || strcmp(device_of(r, &list[i]), how.device))
            group[i].peer = NULL; /* is not asked */
    }
    if (group)
        ask_resume(group + first, count - first, &how, resume_time);
    for (size_t i = first; group && i < count; i++)
        if (group[i].peer) {
            list[i] = group[i];
            asked[i] = true;
        }
    free(group);
}

/* Those that are not in `asked`; one request goes to many. */
static void resume_processes(struct resumption *r, bool *asked)
{
    for (size_t i = 0; i < r->crowd.targets.count; i++)
        if (!asked[i])
            resume_group(r, i, asked);
}

/* Was it seen suspended before it fell silent? */
static bool was_suspended(const struct resumption *r, const struct report *report)
{
    char key[16];
    snprintf(key, sizeof key, "%d", (int)report->pid);
    return json_object_get(r->job->seen, key) != NULL;
}

/* Why not all are, or may be, resumed: the first one's reason; NULL when all are. It is final when
 * none of them will go on by being asked again. One that only does not say its state, and was not
 * seen suspended, is named in the answer and holds up nobody. */
static const struct report *still_suspended(struct resumption *r, struct error *err)
{
    const struct report *first = NULL;
    bool are_final = true;
    for (size_t i = 0; i < r->crowd.targets.count; i++) {
        struct report *report = &r->crowd.targets.list[i];
        if (report->failed && !strcmp(report->state, "gone"))
            report->failed = false; /* nothing is left to be resumed */
        if (!report->failed ||
            (i >= r->crowd.num_asked && !r->job->is_recovery && !was_suspended(r, report)))
            continue;
        are_final = are_final && report->error.is_final;
        first = first ? first : report;
    }
    if (first)
        *err = crowd_blame(first);
    err->is_final = first && are_final;
    return first;
}

/* What an agent that died has asked for may still be going on, or be about to begin. */
static bool is_late(const struct report *report)
{
    return strcmp(report->state, "running") != 0 && strcmp(report->state, "suspended") != 0 &&
           strcmp(report->state, "gone") != 0;
}

static void explain_late(struct report *report)
{
    struct error *err = report_fail(report);
    error_set(err, 0, "it is %s, and may be suspended yet", report->state);
    error_todo(err, "see to it, then send `resume` again");
}

/* Resumes those that turn out to be suspended; the others did not wait for them. */
static void resume_late(struct resumption *r, const bool *late, bool *asked)
{
    struct report *list = r->crowd.targets.list;
    for (size_t i = 0; i < r->crowd.targets.count; i++)
        if (late[i]) {
            report_finish(&list[i]);
            list[i].failed = false;
        }
    together_settle(list, r->crowd.targets.count, settle_time);
    for (size_t i = 0; i < r->crowd.targets.count; i++) {
        asked[i] = !late[i] || strcmp(list[i].state, "suspended") != 0;
        if (late[i] && is_late(&list[i]))
            explain_late(&list[i]);
    }
    resume_processes(r, asked);
}

/* -1 without memory. */
static int resume_all(struct resumption *r)
{
    size_t count = r->crowd.targets.count;
    bool *late = calloc(count + 1, sizeof *late), *asked = calloc(count + 1, sizeof *asked);
    int result = late && asked ? 0 : -1;
    for (size_t i = 0; result == 0 && i < count; i++) {
        late[i] = r->job->is_recovery && is_late(&r->crowd.targets.list[i]);
        asked[i] = late[i] || i >= r->crowd.num_asked;
    }
    if (result == 0)
        resume_processes(r, asked);
    if (result == 0 && r->job->is_recovery)
        resume_late(r, late, asked);
    free(late);
    free(asked);
    return result;
}

static int go(struct resumption *r)
{
    struct error err = {0};
    if (crowd_find(&r->crowd, &err) < 0)
        return fail(r, REPLY_INTERNAL, &err);
    crowd_leave_out(&r->crowd, "running");
    r->is_done_already = r->job->was == STATE_RUNNING && r->crowd.num_asked == 0 && !wants_hooks(r);
    if (r->is_done_already)
        return 0;
    if (run_hooks(r) < 0)
        return -1;
    if (resume_all(r) < 0) {
        error_set(&err, ENOMEM, "nobody was asked");
        return fail(r, REPLY_INTERNAL, &err);
    }
    return still_suspended(r, &err) ? fail(r, REPLY_FAILED, &err) : 0;
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
