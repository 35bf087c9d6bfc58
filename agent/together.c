/* SPDX-License-Identifier: Apache-2.0 */
/* Processes suspended as one: all of them, or none. */
#include "agent/together.h"

#include "agent/ask.h"
#include "agent/text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Seconds that a resume may take to undo a suspend: some drivers take minutes to build programs. */
static const double resume_time = 600;
enum { LOOK_US = 100000 };

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

bool together_is_open(const struct report *report)
{
    return report->peer && !report->response && strcmp(report->state, "running") != 0 &&
           strcmp(report->state, "suspended") != 0 && strcmp(report->state, "gone") != 0;
}

/* Returns how many are still open. */
static size_t look_at_open(struct report *list, struct report *now, size_t count)
{
    size_t open = 0;
    for (size_t i = 0; i < count; i++) {
        now[i] = list[i];
        now[i].response = NULL;
        now[i].failed = !together_is_open(&list[i]);
    }
    ask_status(now, count);
    for (size_t i = 0; i < count; i++) {
        if (together_is_open(&list[i]))
            report_set_state(&list[i], now[i].state);
        report_finish(&now[i]);
        open += together_is_open(&list[i]);
    }
    return open;
}

void together_settle(struct report *list, size_t count, double seconds)
{
    double until = text_clock() + seconds;
    struct report *now = calloc(count + 1, sizeof *now);
    while (now && text_clock() < until && look_at_open(list, now, count))
        usleep(LOOK_US);
    free(now);
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

/* Resumes those that are to be undone, of those that were open before, or of the others. */
static void resume_some(struct report *list, struct report *now, size_t count, const bool *open,
                        bool which, const char *culprit)
{
    for (size_t i = 0; i < count; i++) {
        now[i] = list[i];
        now[i].response = NULL;
        now[i].failed = open[i] != which || !is_to_undo(&list[i]);
    }
    ask_resume(now, count, &(struct ask_resume){.device = ""}, resume_time);
    for (size_t i = 0; i < count; i++) {
        if (open[i] == which && is_to_undo(&list[i]))
            tell_undone(&list[i], &now[i], culprit);
        report_finish(&now[i]);
    }
}

int together_undo(struct report *list, size_t count, double settle_time, const char *culprit)
{
    struct report *now = calloc(count + 1, sizeof *now);
    bool *open = calloc(count + 1, sizeof *open);
    int result = now && open ? 0 : -1;
    for (size_t i = 0; result == 0 && i < count; i++)
        open[i] = together_is_open(&list[i]);
    if (result == 0) {
        /* The others need not wait for those that take their time. */
        resume_some(list, now, count, open, false, culprit);
        together_settle(list, count, settle_time);
        resume_some(list, now, count, open, true, culprit);
    }
    free(now);
    free(open);
    return result;
}
