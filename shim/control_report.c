/* SPDX-License-Identifier: Apache-2.0 */
/* Reports to messages: see control_report.h. */
#include "shim/control_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/checkpoint.h"
#include "shim/loader.h"
#include "shim/skipped.h"
#include "state/mem.h"
#include "state/stream.h"
#include "state/tally.h"

typedef Shadowcl__Control__Response response;

static void *message(size_t size, void (*init)(void *))
{
    void *it = calloc(1, size);
    if (it)
        init(it);
    return it;
}

#define NEW(type, init) ((type *)message(sizeof(type), (void (*)(void *))(void *)(init)))

char *control_command(void)
{
    char text[4096];
    FILE *file = fopen("/proc/self/cmdline", "re");
    size_t size = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    while (size && !text[size - 1])
        size--;
    for (size_t i = 0; i < size; i++)
        if (!text[i])
            text[i] = ' ';
    text[size] = 0;
    return strdup(text);
}

/* Root devices that some context or sub-device holds, with the place where each lives. */
static size_t devices_in_use(struct device **found, size_t room)
{
    cl_uint num_platforms;
    size_t count = 0;
    struct platform **platforms = loader_platforms(&num_platforms);
    for (cl_uint i = 0; i < num_platforms; i++) {
        if (!atomic_load(&platforms[i]->enumerated))
            continue;
        for (cl_uint j = 0; j < platforms[i]->num_devices && count < room; j++) {
            struct device *device = platforms[i]->devices[j];
            if (atomic_load(&device->object.holds) > 1)
                found[count++] = device_place(device);
        }
    }
    return count;
}

static void add_devices(response *answer)
{
    struct device *devices[64];
    size_t count = devices_in_use(devices, 64);
    answer->devices = calloc(count + 1, sizeof(void *));
    for (size_t i = 0; answer->devices && i < count; i++) {
        Shadowcl__Control__Device *device =
            NEW(Shadowcl__Control__Device, shadowcl__control__device__init);
        if (!device)
            return;
        device->platform = strdup(devices[i]->platform->name);
        device->name = strdup(devices[i]->name);
        device->index = devices[i]->index;
        answer->devices[answer->n_devices++] = device;
    }
}

static void add_counts(response *answer, const size_t *counts)
{
    answer->objects = calloc(KIND_COUNT, sizeof(void *));
    for (unsigned kind = KIND_CONTEXT; answer->objects && kind < KIND_COUNT; kind++) {
        Shadowcl__Control__Count *count =
            counts[kind] ? NEW(Shadowcl__Control__Count, shadowcl__control__count__init) : NULL;
        if (!count)
            continue;
        count->kind = strdup(kind_name((enum kind)kind));
        count->count = counts[kind];
        answer->objects[answer->n_objects++] = count;
    }
}

Shadowcl__Control__Failure *control_failure(const struct error *err)
{
    Shadowcl__Control__Failure *failure =
        NEW(Shadowcl__Control__Failure, shadowcl__control__failure__init);
    if (!failure)
        return NULL;
    failure->object = strdup(err->object);
    failure->reason = strdup(err->reason);
    failure->todo = strdup(err->todo);
    failure->final = err->is_final;
    return failure;
}

/* What a check has found: another device lacks it, or it can't be carried. */
static void add_missing(response *answer, const struct findings *findings)
{
    answer->missing = calloc(findings->count + 1, sizeof(void *));
    for (size_t i = 0; answer->missing && i < findings->count; i++) {
        answer->missing[answer->n_missing] = control_failure(&findings->list[i]);
        answer->n_missing += answer->missing[answer->n_missing] != NULL;
    }
}

static void add_residue(response *answer, const struct residue *residue)
{
    answer->residue = calloc(residue->count + 1, sizeof(char *));
    for (size_t i = 0; answer->residue && i < residue->count; i++) {
        char text[1024];
        residue_describe(&residue->nodes[i], text, sizeof text);
        answer->residue[answer->n_residue] = strdup(text);
        answer->n_residue += answer->residue[answer->n_residue] != NULL;
    }
}

static void add_node(void *data, const struct node *node, const struct error *foreign)
{
    Shadowcl__Control__Nodes *nodes = data;
    Shadowcl__Control__Node **list = realloc(nodes->list, (nodes->n_list + 1) * sizeof(void *));
    if (list)
        nodes->list = list;
    Shadowcl__Control__Node *made =
        list ? NEW(Shadowcl__Control__Node, shadowcl__control__node__init) : NULL;
    if (!made)
        return;
    made->descriptor = node->fd;
    made->path = strdup(node->path);
    made->foreign = foreign ? control_failure(foreign) : NULL;
    nodes->list[nodes->n_list++] = made;
}

static void add_nodes(response *answer)
{
    struct error err = {0};
    answer->nodes = NEW(Shadowcl__Control__Nodes, shadowcl__control__nodes__init);
    if (!answer->nodes || residue_tell(add_node, answer->nodes, &err) == 0)
        return;
    shadowcl__control__nodes__free_unpacked(answer->nodes, NULL);
    answer->nodes = NULL;
}

/* The strings go over to the answer. */
static void take_warnings(response *answer, struct report *report)
{
    answer->n_warnings = report->num_warnings;
    answer->warnings = report->warnings;
    report->num_warnings = 0;
    report->warnings = NULL;
}

/* To a status: drivers that the user has named, and that are not there. */
static void add_skipped(response *answer)
{
    const char *const *lines;
    size_t count = skipped_named(&lines);
    answer->warnings = calloc(count + 1, sizeof(char *));
    for (size_t i = 0; answer->warnings && i < count; i++) {
        answer->warnings[answer->n_warnings] = strdup(lines[i]);
        answer->n_warnings += answer->warnings[answer->n_warnings] != NULL;
    }
}

static void add_suspend_times(response *answer, const struct report *report)
{
    Shadowcl__Control__SuspendTimes *times =
        NEW(Shadowcl__Control__SuspendTimes, shadowcl__control__suspend_times__init);
    answer->suspend_times = times;
    if (!times)
        return;
    times->drain = report->drain;
    times->capture = report->capture;
    times->release = report->release;
    times->total = report->suspend;
    times->prepare = report->precopy.ms;
}

static void add_resume_times(response *answer, const struct report *report)
{
    Shadowcl__Control__ResumeTimes *times =
        NEW(Shadowcl__Control__ResumeTimes, shadowcl__control__resume_times__init);
    answer->resume_times = times;
    if (!times)
        return;
    times->load = report->load;
    times->rebuild = report->rebuild;
    times->total = report->resume;
}

static void add_builds(response *answer, const struct report *report)
{
    answer->builds = NEW(Shadowcl__Control__Builds, shadowcl__control__builds__init);
    if (!answer->builds)
        return;
    answer->builds->built = report->ahead.programs.built;
    answer->builds->there = report->ahead.programs.there;
    answer->builds->compare = report->ahead.compare;
    answer->builds->build = report->ahead.build;
}

static void add_image(response *answer, const struct report *report)
{
    if (!report->image.summary.file_bytes)
        return;
    answer->image = NEW(Shadowcl__Control__ImageSummary, shadowcl__control__image_summary__init);
    if (!answer->image)
        return;
    answer->image->contents = report->image.summary.contents_bytes;
    answer->image->zero = report->image.summary.zero_bytes;
    answer->image->equal = report->image.summary.equal_bytes;
    answer->image->file = report->image.summary.file_bytes;
    answer->image->ms = report->image.ms;
}

/* How far it is, to a status in the middle of a suspend or a resume. */
static void add_progress(response *answer)
{
    bool is_up = answer->state == SHADOWCL__CONTROL__STATE__REBUILDING;
    uint64_t all = answer->device_bytes;
    uint64_t left = tally_left() + (is_up ? answer->owed_bytes : 0);
    uint64_t done = left < all ? all - left : 0;
    if (!tally_is_on())
        return;
    if (tally_is_to_file())
        done = stream_done() < all ? stream_done() : all;
    *(is_up ? &answer->restored_bytes : &answer->captured_bytes) = done;
}

static void add_to_status(response *answer, const Shadowcl__Control__Status *asked)
{
    add_progress(answer);
    add_skipped(answer);
    if (asked->nodes)
        add_nodes(answer);
}

response *control_report_create(void)
{
    return NEW(response, shadowcl__control__response__init);
}

void control_report_fill(response *answer, const Shadowcl__Control__Request *request,
                         struct report *report, const struct findings *findings)
{
    answer->version = CONTROL_PROTOCOL;
    answer->state = (Shadowcl__Control__State)checkpoint_state();
    answer->command = control_command();
    answer->device_bytes = mem_total_bytes();
    answer->captured_bytes = report->captured_bytes;
    answer->copied_bytes = report->copied_bytes;
    answer->prepared_bytes = report->precopy.bytes;
    answer->prepare_rounds = report->precopy.rounds;
    /* To a status: what is still to go up. */
    answer->owed_bytes = report->owed_bytes ? report->owed_bytes : mem_owed_bytes();
    add_devices(answer);
    size_t counts[KIND_COUNT];
    object_count(counts);
    add_counts(answer, counts);
    add_suspend_times(answer, report);
    add_resume_times(answer, report);
    add_image(answer, report);
    if (request->verb_case == SHADOWCL__CONTROL__REQUEST__VERB_BUILD)
        add_builds(answer, report);
    add_missing(answer, findings);
    add_residue(answer, &report->residue);
    if (request->verb_case != SHADOWCL__CONTROL__REQUEST__VERB_STATUS)
        take_warnings(answer, report);
    else
        add_to_status(answer, request->status);
}
