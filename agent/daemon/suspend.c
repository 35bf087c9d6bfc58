/* SPDX-License-Identifier: Apache-2.0 */
/* `suspend`: all processes let go of the device, then nobody may hold it, then the hooks run. Each
 * step can be undone until the answer is given. */
#include "agent/ask.h"
#include "agent/daemon/agent.h"
#include "agent/daemon/command.h"
#include "agent/daemon/crowd.h"
#include "agent/daemon/hooks.h"
#include "agent/daemon/logbook.h"
#include "agent/daemon/reply.h"
#include "agent/daemon/users.h"
#include "agent/options.h"
#include "agent/text.h"
#include "agent/together.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double default_deadline = 10; /* seconds */

struct suspension {
    struct job *job;
    struct crowd crowd;
    struct hooks hooks;
    json_t *results; /* owned; of the hooks */
    json_t *residue; /* owned */
    bool is_forced, is_done_already, hooks_ran;
    double start, suspended, hooked; /* moments */
    double stopped;                  /* when the first process stopped; 0: none did */
};

static json_t *describe(const struct suspension *s)
{
    double now = text_clock();
    double suspended = s->suspended > 0 ? s->suspended : now;
    double hooked = s->hooked > 0 ? s->hooked : suspended;
    double still = s->stopped > 0 ? now - s->stopped : 0;
    return json_pack("{s:o, s:O, s:O, s:I, s:b, s:{s:f, s:f, s:f, s:f}}", "processes",
                     crowd_elements(&s->crowd, ANSWER_SUSPEND), "residue", s->residue, "hooks",
                     s->results, "bytes", crowd_bytes(&s->crowd), "already",
                     (int)s->is_done_already, "ms", "suspend", (suspended - s->start) * 1e3,
                     "hooks", (hooked - suspended) * 1e3, "still", still * 1e3, "total",
                     (now - s->start) * 1e3);
}

static int fail(struct suspension *s, const char *class, const struct error *err)
{
    if (!s->job->reply)
        s->job->reply = reply_error(class, err, describe(s));
    return -1;
}

/* From when the programs stop. */
static double suspend_time(const struct suspension *s)
{
    double deadline = request_number(s->job->request.arguments, "deadline", default_deadline);
    return deadline + s->job->agent->settings.process_timeout;
}

/* Whoever is suspended, or may be so later, keeps the state. */
static void undo(struct suspension *s, const char *culprit)
{
    if (s->suspended == 0) /* nobody was asked */
        return;
    struct report *list = s->crowd.targets.list;
    if (together_undo(list, s->crowd.num_asked, suspend_time(s), culprit) < 0)
        logbook_write("no memory to resume the processes: send `resume`");
    for (size_t i = 0; i < s->crowd.num_asked; i++)
        if (!strcmp(list[i].state, "suspended") || together_is_open(&list[i]))
            s->job->after = STATE_SUSPENDED;
}

static void go_back(struct suspension *s, const char *culprit)
{
    struct error err = {0};
    double limit = s->job->agent->settings.hook_timeout;
    if (s->hooks_ran && hooks_return(&s->hooks, s->job, limit, s->results, &err) < 0)
        logbook_error("going back", &err);
    else if (s->hooks_ran)
        s->job->agent->mark.hooks = false;
    undo(s, culprit);
}

/* -1 when the host has withdrawn it: all is undone. */
static int check_withdrawn(struct suspension *s)
{
    struct error err = {0};
    if (!job_is_cancelled(s->job))
        return 0;
    go_back(s, "this command, withdrawn by the host,");
    error_object(&err, "suspend");
    error_set(&err, 0, "the host withdrew it");
    error_todo(&err, "nothing; programs that it had suspended run again");
    return fail(s, REPLY_CANCELLED, &err);
}

/* Who needs not be looked into: before, those that will be asked; after, those that are suspended,
 * whose library has made sure of it. NULL without memory: all are looked into. */
static pid_t *list_proved(const struct suspension *s, bool are_suspended, size_t *count)
{
    const struct targets *targets = &s->crowd.targets;
    pid_t *list = calloc(targets->count + 1, sizeof *list);
    *count = 0;
    for (size_t i = 0; list && i < targets->count; i++) {
        const struct report *report = &targets->list[i];
        bool is_suspended = !report->failed && !strcmp(report->state, "suspended");
        if (!are_suspended || is_suspended)
            list[(*count)++] = report->pid;
    }
    return list;
}

/* Who holds the devices; with `shim`, also processes under shadowcl. */
static size_t find_residue(struct suspension *s, bool with_shim, struct error *err)
{
    char devices[1024];
    size_t num_proved;
    struct pci pci;
    struct users users;
    if (request_wants_no_device(s->job->request.arguments))
        return 0;
    request_devices(s->job->request.arguments, devices, sizeof devices);
    pci_list(&pci);
    pid_t *proved = list_proved(s, with_shim, &num_proved);
    users_find(&users, &pci, proved, num_proved);
    free(proved);
    users_keep(&users, &pci, devices);
    json_array_clear(s->residue);
    for (size_t i = 0; i < users.count; i++) {
        if (!with_shim && users.list[i].has_shim)
            continue;
        if (json_array_size(s->residue) == 0) {
            error_object(err, "process %d %s", (int)users.list[i].pid, users.list[i].command);
            error_set(err, 0, "it holds the device: %.300s", users.list[i].what);
            error_todo(err, users.list[i].has_shim ? "see its own residue and messages"
                                                   : "end it, or start it with `shadowcl run`");
        }
        json_array_append_new(s->residue, user_describe(&users.list[i]));
    }
    users_finish(&users);
    pci_finish(&pci);
    if (json_array_size(s->residue))
        job_post(s->job, "residue", json_pack("{s:o}", "users", json_deep_copy(s->residue)));
    return json_array_size(s->residue);
}

/* Later the device may be away already. */
static int check_devices(struct suspension *s, struct error *err)
{
    char devices[1024];
    struct pci pci;
    if (s->job->was != STATE_RUNNING)
        return 0;
    request_devices(s->job->request.arguments, devices, sizeof devices);
    pci_list(&pci);
    int result = pci_check(&pci, devices, err);
    pci_finish(&pci);
    return result;
}

/* Before anything is touched: what can't go well. */
static int check(struct suspension *s)
{
    struct error err = {0};
    const struct report *silent = crowd_failed(&s->crowd);
    if (request_flag(s->job->request.arguments, "hooks", true) &&
        hooks_find(&s->hooks, s->job->agent->settings.hooks, &err) < 0)
        return fail(s, REPLY_REFUSED, &err);
    if (s->is_forced)
        return 0;
    if (silent) {
        err = crowd_blame(silent);
        return fail(s, REPLY_REFUSED, &err);
    }
    if (crowd_is_copied(&err) || check_devices(s, &err) < 0)
        return fail(s, REPLY_REFUSED, &err);
    return find_residue(s, false, &err) ? fail(s, REPLY_REFUSED, &err) : 0;
}

/* One that ended has nothing to be carried. */
static void forget_ended(struct suspension *s)
{
    for (size_t i = 0; i < s->crowd.num_asked; i++) {
        struct report *report = &s->crowd.targets.list[i];
        if (!report->failed || strcmp(report->state, "gone"))
            continue;
        report->failed = false;
        report->peer = NULL;
    }
}

/* A process stops when its gate closes. Before that it makes room for the contents, and copies them
 * when asked to, while it runs: that is in its total alone. */
static double first_stop(const struct report *list, size_t count, double asked)
{
    double first = 0;
    for (size_t i = 0; i < count; i++) {
        const control_response *response = list[i].response;
        if (list[i].failed || !response || !response->suspend_times)
            continue;
        const Shadowcl__Control__SuspendTimes *times = response->suspend_times;
        double ran = times->total - times->drain - times->capture - times->release;
        double stopped = asked + ran / 1e3;
        first = first > 0 && first < stopped ? first : stopped;
    }
    return first;
}

static int suspend_processes(struct suspension *s)
{
    double asked = text_clock();
    double deadline = request_number(s->job->request.arguments, "deadline", default_deadline);
    struct report *list = s->crowd.targets.list;
    struct ask_prepare prepare = {.wanted =
                                      request_flag(s->job->request.arguments, "prepare", false)};
    char name[32];
    ask_suspend(list, s->crowd.num_asked, deadline, &prepare,
                suspend_time(s) + (prepare.wanted ? OPTIONS_PREPARE_TIME : 0));
    forget_ended(s);
    s->suspended = text_clock();
    s->stopped = first_stop(list, s->crowd.num_asked, asked);
    const struct report *culprit = together_first_failed(list, s->crowd.num_asked);
    if (!culprit || s->is_forced)
        return 0;
    struct error err = crowd_blame(culprit);
    snprintf(name, sizeof name, "process %d", (int)culprit->pid);
    undo(s, name);
    return fail(s, REPLY_FAILED, &err);
}

static int check_residue(struct suspension *s)
{
    struct error err = {0};
    char name[160];
    if (!find_residue(s, true, &err) || s->is_forced)
        return 0;
    snprintf(name, sizeof name, "%s (it holds the device)", err.object);
    undo(s, name);
    return fail(s, REPLY_FAILED, &err);
}

static int run_hooks(struct suspension *s)
{
    struct error err = {0};
    if (!s->hooks.count)
        return 0;
    mark_note_hooks(&s->job->agent->mark);
    if (hooks_release(&s->hooks, s->job, s->job->agent->settings.hook_timeout, s->results, &err) <
        0) {
        s->job->agent->mark.hooks = false; /* they have been rolled back */
        if (job_is_cancelled(s->job))
            return check_withdrawn(s);
        undo(s, err.object);
        return fail(s, REPLY_FAILED, &err);
    }
    s->hooks_ran = true;
    s->hooked = text_clock();
    return 0;
}

/* Whoever is told that all is suspended must find it so, also after this agent. */
static int note_suspended(struct suspension *s)
{
    struct error err = {0};
    if (s->job->was == STATE_SUSPENDED ||
        mark_write(&s->job->agent->mark, STATE_SUSPENDED, &err) == 0)
        return 0;
    go_back(s, "the agent's state");
    return fail(s, REPLY_INTERNAL, &err);
}

static int go(struct suspension *s)
{
    struct error err = {0};
    /* Looked for before the sockets, and after: it may come back in between. */
    if (s->job->was != STATE_SUSPENDED && crowd_is_copied(&err)) {
        if (!s->is_forced)
            return fail(s, REPLY_REFUSED, &err);
        logbook_error("suspend by force", &err);
    }
    if (crowd_find(&s->crowd, &err) < 0)
        return fail(s, REPLY_INTERNAL, &err);
    crowd_leave_out(&s->crowd, "suspended");
    s->is_done_already =
        s->job->was == STATE_SUSPENDED && s->crowd.num_asked == 0 && !crowd_failed(&s->crowd);
    if (s->is_done_already)
        return 0;
    if (check(s) < 0 || check_withdrawn(s) < 0 || suspend_processes(s) < 0 ||
        check_withdrawn(s) < 0 || check_residue(s) < 0)
        return -1;
    if (s->job->was == STATE_RUNNING && run_hooks(s) < 0)
        return -1;
    if (note_suspended(s) < 0)
        return -1;
    return job_close(s->job) ? 0 : check_withdrawn(s);
}

void suspend_run(struct job *job)
{
    struct suspension s = {.job = job, .start = text_clock()};
    s.results = json_array();
    s.residue = json_array();
    s.is_forced = !strcmp(request_text(job->request.arguments, "policy", "abort"), "force");
    if (go(&s) == 0) {
        job->after = STATE_SUSPENDED;
        job->reply = reply_return(describe(&s));
    }
    job_close(job);
    job->processes = crowd_states(&s.crowd);
    hooks_finish(&s.hooks);
    crowd_finish(&s.crowd);
    json_decref(s.results);
    json_decref(s.residue);
}
