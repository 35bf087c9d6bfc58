/* SPDX-License-Identifier: Apache-2.0 */
/* Answers for people: one line for each process. */
#include "agent/answer.h"

#include "agent/text.h"
#include "agent/verbs.h"

#include <inttypes.h>
#include <stdio.h>

enum { MAX_TEXT = 256 };

static void print_objects(const control_response *response)
{
    uint64_t objects = 0;
    for (size_t i = 0; i < response->n_objects; i++)
        objects += response->objects[i]->count;
    printf(", %" PRIu64 " object%s, ", objects, objects == 1 ? "" : "s");
}

/* ", 42 objects, 12.4 MiB" */
static void print_what_runs(const control_response *response)
{
    char bytes[32];
    print_objects(response);
    printf("%s", text_bytes(bytes, sizeof bytes, response->device_bytes));
}

/* ", 512.0 KiB in `heat.image` (130.2 KiB, written in 1.5 ms)" */
static void print_image(const char *file, const Shadowcl__Control__ImageSummary *image)
{
    char contents[32], bytes[32], name[MAX_TEXT];
    printf("%s in `%s` (%s, written in %.1f ms)",
           text_bytes(contents, sizeof contents, image->contents),
           text_clean(name, sizeof name, file), text_bytes(bytes, sizeof bytes, image->file),
           image->ms);
}

static void print_suspend(const control_response *response, const char *file)
{
    char bytes[32];
    const Shadowcl__Control__SuspendTimes *times = response->suspend_times;
    if (times)
        printf(" in %.1f ms (drain %.1f, capture %.1f, release %.1f)", times->total, times->drain,
               times->capture, times->release);
    print_objects(response);
    if (file && response->image)
        print_image(file, response->image);
    else
        printf("%s copied to memory", text_bytes(bytes, sizeof bytes, response->captured_bytes));
    if (response->prepare_rounds)
        printf(" (%s of it with the program standing still, after %" PRIu32 " round%s in %.1f ms)",
               text_bytes(bytes, sizeof bytes, response->copied_bytes), response->prepare_rounds,
               response->prepare_rounds == 1 ? "" : "s", times ? times->prepare : 0);
}

static void print_save(const control_response *response, const char *file)
{
    const Shadowcl__Control__SuspendTimes *times = response->suspend_times;
    if (times)
        printf(" in %.1f ms (drain %.1f, capture %.1f)", times->total, times->drain,
               times->capture);
    print_objects(response);
    print_image(file, response->image);
}

static void print_resume(const control_response *response)
{
    char name[MAX_TEXT], platform[MAX_TEXT], bytes[32];
    const Shadowcl__Control__ResumeTimes *times = response->resume_times;
    if (times)
        printf(" in %.1f ms (load %.1f, rebuild %.1f)", times->total, times->load, times->rebuild);
    print_what_runs(response);
    if (response->owed_bytes)
        printf(", %s to be copied while it runs",
               text_bytes(bytes, sizeof bytes, response->owed_bytes));
    for (size_t i = 0; i < response->n_devices; i++) {
        const Shadowcl__Control__Device *device = response->devices[i];
        printf("%s%s:%" PRIu32 " (%s)", i ? ", " : " on ",
               text_clean(platform, sizeof platform, device->platform), device->index,
               text_clean(name, sizeof name, device->name));
    }
}

static void print_move(const control_response *response)
{
    double total = (response->suspend_times ? response->suspend_times->total : 0) +
                   (response->resume_times ? response->resume_times->total : 0);
    printf(" in %.1f ms: suspended", total);
    print_suspend(response, NULL);
    printf("; resumed");
    print_resume(response);
}

static void print_builds(const control_response *response)
{
    const Shadowcl__Control__Builds *builds = response->builds;
    if (!builds)
        return;
    printf(" in %.1f ms (it stood still for %.1f at most): %" PRIu64 " program%s built",
           builds->compare + builds->build, builds->compare, builds->built,
           builds->built == 1 ? "" : "s");
    if (builds->there)
        printf(", %" PRIu64 " had been", builds->there);
}

void answer_text(enum answer_kind kind, const struct report *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const control_response *response = list[i].response;
        if (list[i].failed || !response)
            continue;
        printf("%d %s: ", (int)list[i].pid, list[i].command);
        if (kind == ANSWER_SUSPEND) {
            printf("suspended");
            print_suspend(response, list[i].file);
        } else if (kind == ANSWER_SAVE) {
            printf("saved");
            print_save(response, list[i].file);
        } else if (kind == ANSWER_RESUME) {
            printf("resumed");
            print_resume(response);
        } else if (kind == ANSWER_PREPARE) {
            printf("prepared");
            print_builds(response);
        } else {
            printf("moved");
            print_move(response);
        }
        putchar('\n');
    }
    fflush(stdout);
}

int answer(enum answer_kind kind, bool json, const struct report *list, size_t count)
{
    static const char *const verbs[] = {"ps", "suspend", "resume", "move", "save", "prepare"};
    int code = EXIT_DONE;
    for (size_t i = 0; i < count; i++) {
        if (list[i].failed) {
            report_say_failure(&list[i], verbs[kind]);
            code = EXIT_REFUSED;
        }
        report_say_warnings(&list[i]);
    }
    if (!json)
        answer_text(kind, list, count);
    else if (answer_json(kind, list, count) < 0)
        code = EXIT_REFUSED;
    return code;
}
