/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl suspend`: all of the processes named, or none. */
#include "agent/answer.h"
#include "agent/ask.h"
#include "agent/targets.h"
#include "agent/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Seconds beyond the deadline for capture and release; what a resume may take to undo one. */
static const double capture_time = 120, resume_time = 600;

static const struct argp_option suspend_options[] = {
    OPTIONS_ALL,
    OPTIONS_DEADLINE,
    OPTIONS_JSON,
    {"timeout", OPTION_TIMEOUT, "SEC", 0,
     "Stop waiting for the answer after so many seconds; by default 120 more than the deadline", 0},
    {0}};

static const struct argp suspend_argp = {
    suspend_options,
    options_parse_one,
    "PID...\n--all",
    "Suspend processes: wait until nothing runs on the device, copy its contents to memory, let "
    "go of it. All of the processes or none: if one can't be suspended, the others are resumed."
    "\v"
    "With --all, processes that are suspended already are left as they are.\n\n"
    "Exit codes: 0 done; 1 refused or failed, the message says why, what to do and in which "
    "state the program now is; 2 wrong usage.",
    NULL,
    NULL,
    NULL};

static const struct report *first_failed(const struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++)
        if (targets->list[i].failed)
            return &targets->list[i];
    return NULL;
}

/* Some can't even be asked: nobody is. */
static void refuse_others(struct targets *targets)
{
    int culprit = (int)first_failed(targets)->pid;
    ask_status(targets->list, targets->count);
    for (size_t i = 0; i < targets->count; i++) {
        struct report *report = &targets->list[i];
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
    return !report->failed || (!report->response && !strcmp(report->state, "suspended"));
}

/* `now` is how resuming it went. */
static void tell_undone(struct report *report, const struct report *now, int culprit)
{
    bool had_failed = report->failed;
    report_finish(report);
    report_set_state(report, now->state);
    if (now->failed) {
        error_set(report_fail(report), 0,
                  "suspended, and resuming it again because of process %d failed: %s: %s", culprit,
                  now->error.object, now->error.reason);
        error_todo(&report->error, "%s; then `shadowcl resume %d`", now->error.todo,
                   (int)report->pid);
    } else if (!had_failed) {
        error_set(report_fail(report), 0,
                  "suspended and resumed again, because process %d could not be: all or none",
                  culprit);
        error_todo(&report->error, "see to what is said of process %d, or leave it out", culprit);
    }
}

static void undo(struct targets *targets)
{
    int culprit = (int)first_failed(targets)->pid;
    struct report *now = calloc(targets->count, sizeof *now);
    for (size_t i = 0; now && i < targets->count; i++) {
        now[i] = targets->list[i];
        now[i].response = NULL;
        now[i].failed = !is_to_undo(&targets->list[i]);
    }
    if (!now) {
        fputs("shadowcl suspend: no memory to resume the others\n"
              "  to do: `shadowcl resume --all`\n",
              stderr);
        return;
    }
    ask_resume(now, targets->count, "", false, resume_time);
    for (size_t i = 0; i < targets->count; i++) {
        if (is_to_undo(&targets->list[i]))
            tell_undone(&targets->list[i], &now[i], culprit);
        report_finish(&now[i]);
    }
    free(now);
}

static void suspend_all(struct targets *targets, const struct options *options)
{
    double timeout = options->timeout > 0 ? options->timeout : options->deadline + capture_time;
    if (targets_failed(targets)) {
        refuse_others(targets);
        return;
    }
    exchange_catch_signals();
    ask_suspend(targets->list, targets->count, options->deadline, timeout);
    if (targets_failed(targets) && !exchange_was_interrupted())
        undo(targets);
}

int verb_suspend(int argc, char **argv)
{
    struct options options = {0};
    struct targets targets;
    struct error err = {0};
    int code = EXIT_REFUSED;
    options_parse(&options, &suspend_argp, argc, argv);
    if (targets_find(&targets, &options, &err) < 0 ||
        (options.all && targets_keep_undone(&targets, "suspended", &err) < 0)) {
        report_error("suspend", &err);
        if (options.json)
            answer_json_empty();
    } else {
        suspend_all(&targets, &options);
        code = answer(ANSWER_SUSPEND, options.json, targets.list, targets.count);
    }
    if (options.all)
        targets_note_uncovered(&targets);
    targets_finish(&targets);
    options_finish(&options);
    return code;
}
