/* SPDX-License-Identifier: Apache-2.0 */
/* `prepare`: what would stand against a suspend, found while the programs run. */
#include "agent/ask.h"
#include "agent/daemon/agent.h"
#include "agent/daemon/command.h"
#include "agent/daemon/crowd.h"
#include "agent/daemon/hooks.h"
#include "agent/daemon/reply.h"
#include "agent/daemon/users.h"
#include "agent/text.h"
#include "state/available.h"

#include <stdint.h>
#include <string.h>

/* Seconds: drivers take their time to load and to build. */
static const double default_deadline = 10, device_time = 600;

/* What stands against it, by what is asked; lists of FAILURE. */
struct found {
    json_t *refusals; /* a suspend */
    json_t *missing;  /* going on with `device` */
    json_t *unknown;  /* nobody could tell, of `device` */
};

static void refuse(json_t *refusals, const struct error *err)
{
    json_array_append_new(refusals, answer_failure(err));
}

static void look_at_processes(const struct crowd *crowd, json_t *refusals)
{
    for (size_t i = 0; i < crowd->targets.count; i++)
        if (crowd->targets.list[i].failed)
            refuse(refusals, &crowd->targets.list[i].error);
    struct error err = {0};
    if (crowd_is_copied(&err))
        refuse(refusals, &err);
}

static void look_at_users(const json_t *arguments, json_t *refusals)
{
    char devices[1024];
    struct pci pci;
    struct users users;
    if (request_wants_no_device(arguments))
        return;
    request_devices(arguments, devices, sizeof devices);
    struct error missing = {0};
    pci_list(&pci);
    if (pci_check(&pci, devices, &missing) < 0)
        refuse(refusals, &missing);
    users_find(&users, &pci, NULL, 0);
    users_keep(&users, &pci, devices);
    for (size_t i = 0; i < users.count; i++) {
        const struct user *user = &users.list[i];
        struct error err = {0};
        if (user->has_shim || (i > 0 && users.list[i - 1].pid == user->pid))
            continue;
        error_object(&err, "process %d %s", (int)user->pid, user->command);
        error_set(&err, 0, "it has the device open and is not under shadowcl: %.300s", user->what);
        error_todo(&err, "end it, or start it with `shadowcl run`");
        refuse(refusals, &err);
    }
    users_finish(&users);
    pci_finish(&pci);
}

static void look_at_memory(json_int_t bytes, json_int_t available, json_t *refusals)
{
    struct error err = {0};
    if (bytes <= available)
        return;
    error_object(&err, "memory");
    error_set(&err, 0,
              "up to %lld bytes of device contents have to be kept, and %lld are available",
              (long long)bytes, (long long)available);
    error_todo(&err, "free memory, or give the guest more");
    refuse(refusals, &err);
}

static void look_at_hooks(const char *directory, json_t *refusals)
{
    struct hooks hooks;
    struct error err = {0};
    if (hooks_find(&hooks, directory, &err) < 0)
        refuse(refusals, &err);
    hooks_finish(&hooks);
}

static void take_answer(const struct report *report, json_t *found, json_t *unknown)
{
    struct report one = *report;
    struct error err = crowd_blame(report);
    if (report->failed && strcmp(report->state, "gone") != 0)
        refuse(unknown, &err);
    for (size_t i = 0; !report->failed && i < report->response->n_missing; i++) {
        one.error = report_finding(report, i);
        err = crowd_blame(&one);
        refuse(found, &err);
    }
}

/* Those that run: each looks at what it has, and at the device that it is to go on with. */
static void ask_processes(const struct job *job, struct crowd *crowd, const struct found *found)
{
    const json_t *arguments = job->request.arguments;
    struct ask_check suspend = {0}, there = {request_text(arguments, "device", NULL), false};
    double deadline = request_number(arguments, "deadline", default_deadline);
    struct report *list = crowd->targets.list;
    if (!request_flag(arguments, "check", false))
        return;
    crowd_leave_out(crowd, "suspended");
    ask_check(list, crowd->num_asked, deadline, &suspend,
              deadline + job->agent->settings.process_timeout);
    for (size_t i = 0; i < crowd->num_asked; i++)
        take_answer(&list[i], found->refusals, found->refusals);
    crowd_leave_out(crowd, "suspended"); /* also those that could not say */
    if (there.device)
        ask_check(list, crowd->num_asked, deadline, &there, deadline + device_time);
    for (size_t i = 0; there.device && i < crowd->num_asked; i++)
        take_answer(&list[i], found->missing, found->unknown);
}

static json_t *describe(const struct crowd *crowd, json_int_t available, const struct found *found,
                        double start)
{
    return json_pack("{s:o, s:I, s:I, s:O, s:O, s:O, s:{s:f}}", "processes", crowd_processes(crowd),
                     "bytes", crowd_bytes(crowd), "memory_available", available, "refusals",
                     found->refusals, "missing", found->missing, "unknown", found->unknown, "ms",
                     "total", (text_clock() - start) * 1e3);
}

void prepare_run(struct job *job)
{
    struct crowd crowd;
    struct error err = {0};
    double start = text_clock();
    if (crowd_find(&crowd, &err) < 0) {
        crowd_finish(&crowd);
        job->reply = reply_error(REPLY_INTERNAL, &err, NULL);
        return;
    }
    struct found found = {json_array(), json_array(), json_array()};
    uint64_t memory = available_memory("");
    json_int_t available = memory == UINT64_MAX ? 0 : (json_int_t)memory;
    look_at_processes(&crowd, found.refusals);
    look_at_users(job->request.arguments, found.refusals);
    look_at_memory(crowd_bytes_to_keep(&crowd), available, found.refusals);
    look_at_hooks(job->agent->settings.hooks, found.refusals);
    ask_processes(job, &crowd, &found);
    job->processes = crowd_states(&crowd);
    if (job_close(job)) {
        job->reply = reply_return(describe(&crowd, available, &found, start));
    } else {
        error_set(&err, 0, "the host withdrew it");
        job->reply = reply_error(REPLY_CANCELLED, &err, NULL);
    }
    json_decref(found.refusals);
    json_decref(found.missing);
    json_decref(found.unknown);
    crowd_finish(&crowd);
}
