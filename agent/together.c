/* SPDX-License-Identifier: Apache-2.0 */
/* Processes suspended as one: all of them, or none. */
#include "agent/together.h"

#include "agent/ask.h"

#include <stdlib.h>
#include <string.h>

/* Seconds that a resume may take to undo a suspend: some drivers take minutes to build programs. */
static const double resume_time = 600;

const struct report *together_first_failed(const struct report *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].failed)
            return &list[i];
    return NULL;
}

void together_refuse(struct report *list, size_t count)
{
    int culprit = (int)together_first_failed(list, count)->pid;
    ask_status(list, count);
    for (size_t i = 0; i < count; i++) {
        struct report *report = &list[i];
        if (report->failed)
            continue;
        report_finish(report);
        error_set(report_fail(report), 0, "not suspended, because process %d can't be: all or none",
                  culprit);
        error_todo(&report->error, "leave out process %d, or see to what is said of it", culprit);
    }
}

/* Suspended by this request, with or without an answer that says so. */
static bool is_to_undo(const struct report *report)
{
    return report->peer &&
           (!report->failed || (!report->response && !strcmp(report->state, "suspended")));
}

/* `now` is how resuming it went. */
static void tell_undone(struct report *report, const struct report *now, const char *culprit)
{
    bool had_failed = report->failed;
    report_finish(report);
    report_set_state(report, now->state);
    if (now->failed) {
        error_set(report_fail(report), 0,
                  "suspended, and resuming it again because of %s failed: %s: %s", culprit,
                  now->error.object, now->error.reason);
        error_todo(&report->error, "%s; then `shadowcl resume %d`", now->error.todo,
                   (int)report->pid);
    } else if (!had_failed) {
        error_set(report_fail(report), 0,
                  "suspended and resumed again, because %s could not be: all or none", culprit);
        error_todo(&report->error, "see to what is said of %s, or leave it out", culprit);
    }
}

int together_undo(struct report *list, size_t count, const char *culprit)
{
    struct report *now = calloc(count + 1, sizeof *now);
    if (!now)
        return -1;
    for (size_t i = 0; i < count; i++) {
        now[i] = list[i];
        now[i].response = NULL;
        now[i].failed = !is_to_undo(&list[i]);
    }
    ask_resume(now, count, "", false, resume_time);
    for (size_t i = 0; i < count; i++) {
        if (is_to_undo(&list[i]))
            tell_undone(&list[i], &now[i], culprit);
        report_finish(&now[i]);
    }
    free(now);
    return 0;
}
