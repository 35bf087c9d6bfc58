/* SPDX-License-Identifier: Apache-2.0 */
/* `prepare`: what would stand against a suspend, found while the programs run. */
#include "agent/daemon/agent.h"
#include "agent/daemon/command.h"
#include "agent/daemon/crowd.h"
#include "agent/daemon/hooks.h"
#include "agent/daemon/reply.h"
#include "agent/daemon/users.h"
#include "agent/text.h"
#include "state/available.h"

#include <stdint.h>

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
    json_t *refusals = json_array();
    uint64_t memory = available_memory("");
    json_int_t available = memory == UINT64_MAX ? 0 : (json_int_t)memory;
    look_at_processes(&crowd, refusals);
    look_at_users(job->request.arguments, refusals);
    look_at_memory(crowd_bytes_to_keep(&crowd), available, refusals);
    look_at_hooks(job->agent->settings.hooks, refusals);
    job->processes = crowd_states(&crowd);
    if (job_close(job)) {
        job->reply = reply_return(json_pack("{s:o, s:I, s:I, s:o, s:{s:f}}", "processes",
                                            crowd_processes(&crowd), "bytes", crowd_bytes(&crowd),
                                            "memory_available", available, "refusals", refusals,
                                            "ms", "total", (text_clock() - start) * 1e3));
    } else {
        json_decref(refusals);
        error_set(&err, 0, "the host withdrew it");
        job->reply = reply_error(REPLY_CANCELLED, &err, NULL);
    }
    crowd_finish(&crowd);
}
