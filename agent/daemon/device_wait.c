/* SPDX-License-Identifier: Apache-2.0 */
/* `device-wait`: until a PCI device has come, or gone. The bus is looked at ten times a second. */
#include "agent/daemon/agent.h"
#include "agent/daemon/command.h"
#include "agent/daemon/pci.h"
#include "agent/daemon/reply.h"
#include "agent/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LOOK_MS = 100 };
static const double default_timeout = 30;

struct wait {
    uv_timer_t timer;
    struct job *job;
    double start;
};

static bool is_same(const json_t *arguments, const char *name, const char *value)
{
    const char *wanted = request_text(arguments, name, NULL);
    return !wanted || !strcasecmp(wanted, value);
}

static bool matches(const struct pci_device *device, const json_t *arguments)
{
    bool is_named = json_object_get(arguments, "address") || json_object_get(arguments, "vendor") ||
                    json_object_get(arguments, "device");
    if (!is_named)
        return pci_is_compute(device);
    return is_same(arguments, "address", device->address) &&
           is_same(arguments, "vendor", device->vendor) &&
           is_same(arguments, "device", device->device);
}

/* The device, described; NULL when there is none. */
static json_t *look(const json_t *arguments)
{
    struct pci pci;
    json_t *found = NULL;
    pci_list(&pci);
    for (size_t i = 0; !found && i < pci.count; i++)
        if (matches(&pci.list[i], arguments)) {
            found = pci_describe(&pci.list[i]);
            json_object_set_new(found, "users", json_array());
        }
    pci_finish(&pci);
    return found;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* Takes `reply`. */
static void finish(struct wait *wait, json_t *reply)
{
    wait->job->reply = reply;
    wait->job->agent->jobs.num_waiting--;
    job_finish(wait->job);
    uv_close((uv_handle_t *)&wait->timer, on_closed);
}

static json_t *error_reply(const char *class, const char *reason, const char *todo)
{
    struct error err = {0};
    error_object(&err, "device-wait");
    error_set(&err, 0, "%s", reason);
    error_todo(&err, "%s", todo);
    return reply_error(class, &err, NULL);
}

static void on_time(uv_timer_t *timer)
{
    struct wait *wait = timer->data;
    const json_t *arguments = wait->job->request.arguments;
    bool wanted = request_flag(arguments, "present", true);
    double waited = text_clock() - wait->start;
    if (job_is_cancelled(wait->job)) {
        finish(wait, error_reply(REPLY_CANCELLED, "the host withdrew it", ""));
        return;
    }
    json_t *found = look(arguments);
    if ((found != NULL) == wanted) {
        finish(wait, reply_return(json_pack("{s:o, s:{s:f}}", "device", found ? found : json_null(),
                                            "ms", "total", waited * 1e3)));
        return;
    }
    json_decref(found);
    if (waited < request_number(arguments, "timeout", default_timeout))
        uv_timer_start(timer, on_time, LOOK_MS, 0);
    else
        finish(wait, wanted ? error_reply(REPLY_TIMEOUT, "no such device has come",
                                          "see that it is plugged in, and what `status` lists")
                            : error_reply(REPLY_TIMEOUT, "the device is still there",
                                          "see who holds it: `status` lists its users"));
}

void device_wait_start(struct job *job)
{
    struct wait *wait = calloc(1, sizeof *wait);
    if (!wait) {
        job_finish(job);
        return;
    }
    job->agent->jobs.num_waiting++;
    wait->job = job;
    wait->start = text_clock();
    uv_timer_init(job->agent->loop, &wait->timer);
    wait->timer.data = wait;
    uv_timer_start(&wait->timer, on_time, 0, 0);
}
