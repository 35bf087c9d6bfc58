/* SPDX-License-Identifier: Apache-2.0 */
/* Answers for scripts: the fields of `--json`. */
#include "agent/answer.h"

#include "agent/process.h"
#include "agent/text.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 4096 + 256 }; /* a command line, with `?` for bytes */

/* JSON takes UTF-8 only; other processes send what they like. */
json_t *answer_string(const char *string)
{
    char clean[MAX_TEXT];
    json_t *value = json_string(text_clean(clean, sizeof clean, string));
    for (char *byte = clean; !value && *byte; byte++)
        if ((unsigned char)*byte >= 0x80)
            *byte = '?';
    return value ? value : json_string(clean);
}

static json_t *number(double value)
{
    return json_real(isfinite(value) ? value : 0);
}

static json_t *whole(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

json_t *answer_devices(const control_response *response)
{
    json_t *array = json_array();
    for (size_t i = 0; response && i < response->n_devices; i++) {
        const Shadowcl__Control__Device *device = response->devices[i];
        json_array_append_new(
            array, json_pack("{s:o, s:o, s:o}", "platform", answer_string(device->platform), "name",
                             answer_string(device->name), "index", whole(device->index)));
    }
    return array;
}

static json_t *objects(const control_response *response)
{
    json_t *object = json_object();
    char kind[64];
    for (size_t i = 0; response && i < response->n_objects; i++) {
        text_clean(kind, sizeof kind, response->objects[i]->kind);
        json_object_set_new(object, kind, whole(response->objects[i]->count));
    }
    return object;
}

static json_t *strings(char *const *list, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, answer_string(list[i]));
    return array;
}

json_t *answer_warnings(const control_response *response)
{
    size_t count = response ? response->n_warnings : 0;
    return strings(count ? response->warnings : NULL, count);
}

json_t *answer_image(const struct report *report)
{
    const Shadowcl__Control__ImageSummary *image =
        report->response && report->file ? report->response->image : NULL;
    if (!image)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "file", answer_string(report->file), "bytes",
                     whole(image->file), "contents_bytes", whole(image->contents), "zero_bytes",
                     whole(image->zero), "equal_bytes", whole(image->equal), "ms",
                     number(image->ms));
}

static json_t *suspend_ms(const control_response *response)
{
    const Shadowcl__Control__SuspendTimes none = SHADOWCL__CONTROL__SUSPEND_TIMES__INIT;
    const Shadowcl__Control__SuspendTimes *times =
        response && response->suspend_times ? response->suspend_times : &none;
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "prepare", number(times->prepare), "drain",
                     number(times->drain), "capture", number(times->capture), "release",
                     number(times->release), "total", number(times->total));
}

static json_t *resume_ms(const control_response *response)
{
    const Shadowcl__Control__ResumeTimes none = SHADOWCL__CONTROL__RESUME_TIMES__INIT;
    const Shadowcl__Control__ResumeTimes *times =
        response && response->resume_times ? response->resume_times : &none;
    return json_pack("{s:o, s:o, s:o}", "load", number(times->load), "rebuild",
                     number(times->rebuild), "total", number(times->total));
}

json_t *answer_failure(const struct error *err)
{
    json_t *failure = json_pack("{s:o, s:o, s:o}", "object", answer_string(err->object), "reason",
                                answer_string(err->reason), "todo", answer_string(err->todo));
    if (err->is_final)
        json_object_set_new(failure, "final", json_true());
    return failure;
}

/* What it is where it runs, of a process in a pid namespace of its own. */
static json_t *inside(pid_t pid)
{
    uint64_t number = process_pid_namespace(pid);
    return number ? json_pack("{s:i, s:o}", "pid", (int)process_inner_pid(pid), "pid_namespace",
                              whole(number))
                  : json_null();
}

static json_t *ps_element(const struct report *report)
{
    const control_response *response = report->response;
    const char *line = response && response->command[0] ? response->command : report->command;
    return json_pack(
        "{s:i, s:o, s:I, s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "pid", (int)report->pid, "inside",
        inside(report->pid), "uid", (json_int_t)report->uid, "command", answer_string(line),
        "state", report->state, "devices", answer_devices(response), "objects", objects(response),
        "device_bytes", whole(response ? response->device_bytes : 0), "owed_bytes",
        whole(response ? response->owed_bytes : 0), "warnings", answer_warnings(response));
}

static void add_suspend(json_t *element, const control_response *response)
{
    size_t count = response ? response->n_residue : 0;
    json_object_set_new(element, "captured_bytes", whole(response ? response->captured_bytes : 0));
    json_object_set_new(element, "copied_bytes", whole(response ? response->copied_bytes : 0));
    json_object_set_new(element, "prepared_bytes", whole(response ? response->prepared_bytes : 0));
    json_object_set_new(element, "prepare_rounds", whole(response ? response->prepare_rounds : 0));
    json_object_set_new(element, "objects", objects(response));
    json_object_set_new(element, "residue", strings(count ? response->residue : NULL, count));
}

static json_t *builds_element(const struct report *report)
{
    const Shadowcl__Control__Builds none = SHADOWCL__CONTROL__BUILDS__INIT;
    const control_response *response = report->response;
    const Shadowcl__Control__Builds *builds =
        response && response->builds ? response->builds : &none;
    return json_pack("{s:i, s:s, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o}, s:o}", "pid",
                     (int)report->pid, "state", report->state, "devices", answer_devices(response),
                     "programs_built", whole(builds->built), "programs_there", whole(builds->there),
                     "warnings", answer_warnings(response), "ms", "compare",
                     number(builds->compare), "build", number(builds->build), "total",
                     number(builds->compare + builds->build), "error",
                     report->failed ? answer_failure(&report->error) : json_null());
}

json_t *answer_element(enum answer_kind kind, const struct report *report)
{
    const control_response *response = report->response;
    if (kind == ANSWER_PS)
        return ps_element(report);
    if (kind == ANSWER_PREPARE)
        return builds_element(report);
    json_t *element = json_pack("{s:i, s:s}", "pid", (int)report->pid, "state", report->state);
    if (kind != ANSWER_RESUME)
        add_suspend(element, response);
    if (kind == ANSWER_RESUME || kind == ANSWER_MOVE) {
        json_object_set_new(element, "devices", answer_devices(response));
        json_object_set_new(element, "objects", objects(response));
        json_object_set_new(element, "device_bytes", whole(response ? response->device_bytes : 0));
        json_object_set_new(element, "owed_bytes", whole(response ? response->owed_bytes : 0));
    }
    json_object_set_new(element, "warnings", answer_warnings(response));
    json_t *ms = kind == ANSWER_RESUME ? resume_ms(response)
                 : kind != ANSWER_MOVE ? suspend_ms(response)
                                       : json_pack("{s:o, s:o}", "suspend", suspend_ms(response),
                                                   "resume", resume_ms(response));
    json_object_set_new(element, "ms", ms);
    json_object_set_new(element, "error",
                        report->failed ? answer_failure(&report->error) : json_null());
    return element;
}

/* Numbers with as many digits as say something: microseconds of a day. */
int answer_print(json_t *array)
{
    int result = array ? json_dumpf(array, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : -1;
    json_decref(array);
    putchar('\n');
    if (fflush(stdout) == 0 && result == 0)
        return 0;
    fputs("shadowcl: the answer could not be written to standard output\n", stderr);
    return -1;
}

int answer_json(enum answer_kind kind, const struct report *list, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *element = answer_element(kind, &list[i]);
        if (kind == ANSWER_SUSPEND || kind == ANSWER_SAVE)
            json_object_set_new(element, "image", answer_image(&list[i]));
        json_array_append_new(array, element);
    }
    return answer_print(array);
}

void answer_json_error(const char *command, const struct error *err)
{
    answer_print(json_pack("[{s:n, s:o, s:s, s:o}]", "pid", "command", answer_string(command),
                           "state", "not started", "error", answer_failure(err)));
}

void answer_json_empty(void)
{
    answer_print(json_array());
}
