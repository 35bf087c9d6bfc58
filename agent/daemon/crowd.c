/* SPDX-License-Identifier: Apache-2.0 */
/* All processes under shadowcl: see crowd.h. */
#include "agent/daemon/crowd.h"

#include "agent/ask.h"
#include "agent/process.h"
#include "agent/together.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void explain_silent(struct report *report)
{
    struct error *err = report_fail(report);
    error_set(err, 0, "it does not say its state (asked for %d s)", (int)STATUS_TIMEOUT);
    error_todo(err, "see whether it is stopped or hangs");
}

int crowd_find(struct crowd *crowd, struct error *err)
{
    struct options options = {.all = true};
    struct targets *targets = &crowd->targets;
    *crowd = (struct crowd){0};
    if (targets_find(targets, &options, err) < 0)
        return -1;
    ask_status(targets->list, targets->count);
    size_t kept = 0;
    for (size_t i = 0; i < targets->count; i++) {
        struct report *report = &targets->list[i];
        if (!strcmp(report->state, "gone")) {
            report_finish(report);
            continue;
        }
        if (!report->response)
            explain_silent(report);
        targets->list[kept++] = *report;
    }
    targets->count = kept;
    crowd->num_asked = kept;
    return 0;
}

void crowd_finish(struct crowd *crowd)
{
    targets_finish(&crowd->targets);
}

void crowd_leave_out(struct crowd *crowd, const char *state)
{
    struct report *list = crowd->targets.list;
    size_t kept = 0;
    for (size_t i = 0; i < crowd->num_asked; i++) {
        struct report report = list[i];
        if (report.failed || !strcmp(report.state, state))
            continue;
        memmove(&list[kept + 1], &list[kept], (i - kept) * sizeof *list);
        list[kept++] = report;
    }
    crowd->num_asked = kept;
}

json_t *crowd_states(const struct crowd *crowd)
{
    json_t *array = json_array();
    for (size_t i = 0; i < crowd->targets.count; i++) {
        const struct report *report = &crowd->targets.list[i];
        json_array_append_new(array,
                              json_pack("{s:i, s:o, s:s}", "pid", (int)report->pid, "command",
                                        answer_string(report->command), "state", report->state));
    }
    return array;
}

/* Where a device is on the bus is not known to the processes; `status` looks. */
static void add_addresses(json_t *process)
{
    json_t *devices = json_object_get(process, "devices");
    for (size_t i = 0; i < json_array_size(devices); i++)
        json_object_set_new(json_array_get(devices, i), "pci", json_null());
}

json_t *crowd_processes(const struct crowd *crowd)
{
    json_t *array = json_array();
    for (size_t i = 0; i < crowd->targets.count; i++) {
        json_t *process = answer_element(ANSWER_PS, &crowd->targets.list[i]);
        add_addresses(process);
        json_array_append_new(array, process);
    }
    return array;
}

static int by_pid(const void *a, const void *b)
{
    const struct report *const *one = a, *const *other = b;
    return ((*one)->pid > (*other)->pid) - ((*one)->pid < (*other)->pid);
}

json_t *crowd_elements(const struct crowd *crowd, enum answer_kind kind)
{
    size_t count = crowd->targets.count;
    const struct report **order = calloc(count + 1, sizeof(struct report *));
    json_t *array = order ? json_array() : NULL;
    for (size_t i = 0; order && i < count; i++)
        order[i] = &crowd->targets.list[i];
    if (order)
        qsort(order, count, sizeof *order, by_pid);
    for (size_t i = 0; order && i < count; i++) {
        json_t *element = answer_element(kind, order[i]);
        json_object_set_new(element, "command", answer_string(order[i]->command));
        add_addresses(element);
        json_array_append_new(array, element);
    }
    free(order);
    return array;
}

static json_int_t sum_bytes(const struct crowd *crowd, const char *but)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < crowd->targets.count; i++) {
        const struct report *report = &crowd->targets.list[i];
        if (report->response && (!but || strcmp(report->state, but) != 0))
            bytes += report->response->device_bytes;
    }
    return bytes > INT64_MAX ? INT64_MAX : (json_int_t)bytes;
}

json_int_t crowd_bytes(const struct crowd *crowd)
{
    return sum_bytes(crowd, NULL);
}

json_int_t crowd_bytes_to_keep(const struct crowd *crowd)
{
    return sum_bytes(crowd, "suspended");
}

bool crowd_is_copied(struct error *err)
{
    char command[64];
    pid_t pid = targets_find_away();
    if (!pid)
        return false;
    process_command(pid, command, sizeof command);
    error_object(err, "process %d %s", (int)pid, command);
    error_set(err, 0, "it is being copied by CRIU, and takes a device again afterwards");
    error_todo(err, "wait for that; if nobody copies it any more, `shadowcl resume %d`", (int)pid);
    return true;
}

const struct report *crowd_failed(const struct crowd *crowd)
{
    return together_first_failed(crowd->targets.list, crowd->targets.count);
}

struct error crowd_blame(const struct report *report)
{
    struct error err = report->error;
    char object[sizeof report->command + sizeof err.object + 32];
    bool is_process = !strncmp(err.object, "process ", strlen("process "));
    snprintf(object, sizeof object, "process %d %s%s%s", (int)report->pid, report->command,
             is_process ? "" : ": ", is_process ? "" : err.object);
    error_object(&err, "%s", object);
    return err;
}
