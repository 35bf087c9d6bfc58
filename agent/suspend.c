/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl suspend`: all of the processes named, or none. */
#include "agent/answer.h"
#include "agent/ask.h"
#include "agent/image_kept.h"
#include "agent/targets.h"
#include "agent/together.h"
#include "agent/verbs.h"

#include <stdio.h>
#include <string.h>

/* Seconds beyond the deadline for capture and release. */
static const double capture_time = 120;
/* A process that does not answer is not waited for: --timeout says how long. */
static const double settle_time = 0;

static const struct argp_option suspend_options[] = {
    OPTIONS_ALL,
    OPTIONS_DEADLINE,
    OPTIONS_PREPARE,
    {"image", OPTION_IMAGE, "FILE", 0,
     "Keep contents in this file instead of in memory; for one process only", 0},
    OPTIONS_COMPRESS,
    OPTIONS_JSON,
    {"timeout", OPTION_TIMEOUT, "SEC", 0,
     "Stop waiting for the answer after so many seconds; by default 120 more than the deadline, "
     "with --image 3600",
     0},
    {0}};

static const struct argp suspend_argp = {
    suspend_options,
    options_parse_one,
    "PID...\n--all\n--image FILE PID",
    "Suspend processes: wait until nothing runs on the device, copy its contents to memory, let "
    "go of it. All of the processes or none: if one can't be suspended, the others are resumed. "
    "With --image, contents are copied to a file, an image of the program's OpenCL objects, which "
    "is in use until the resume has read it back."
    "\v"
    "With --all, processes that are suspended already are left as they are.\n\n"
    "Exit codes: 0 done; 1 refused or failed, the message says why, what to do and in which "
    "state the program now is; 2 wrong usage.",
    NULL,
    NULL,
    NULL};

static double time_for(const struct options *options)
{
    double most = options->deadline + (options->image ? OPTIONS_IMAGE_TIME : capture_time) +
                  (options->prepare.wanted ? OPTIONS_PREPARE_TIME : 0);
    return options->timeout > 0 ? options->timeout : most;
}

static void suspend_to_image(struct targets *targets, const struct options *options)
{
    if (targets_failed(targets))
        return;
    struct report *report = targets->list;
    struct error err = {0};
    struct new_file file;
    exchange_catch_signals();
    if (new_file_create(&file, options->image, true, &err) < 0) {
        image_not_asked(report, &err);
        return;
    }
    struct ask_image image = {.fd = file.fd, .compression = options->compression};
    ask_suspend_to(report, options->deadline, &options->prepare, &image, time_for(options));
    image_kept(report, &file, true);
    new_file_finish(&file);
}

/* Those that ended before they could be suspended are not among all any more. */
static void forget_ended(struct targets *targets)
{
    size_t kept = 0;
    for (size_t i = 0; i < targets->count; i++) {
        struct report *report = &targets->list[i];
        if (!strcmp(report->state, "gone") && report->response && report->response->ending) {
            report_note(&report->error);
            report_finish(report);
        } else {
            targets->list[kept++] = *report;
        }
    }
    targets->count = kept;
}

static void suspend_all(struct targets *targets, const struct options *options)
{
    double timeout = time_for(options);
    if (targets_failed(targets)) {
        together_refuse(targets->list, targets->count);
        return;
    }
    exchange_catch_signals();
    ask_suspend(targets->list, targets->count, options->deadline, &options->prepare, timeout);
    if (options->all)
        forget_ended(targets);
    if (!targets_failed(targets) || exchange_was_interrupted())
        return;
    char culprit[32];
    snprintf(culprit, sizeof culprit, "process %d",
             (int)together_first_failed(targets->list, targets->count)->pid);
    if (together_undo(targets->list, targets->count, settle_time, culprit) < 0)
        fputs("shadowcl suspend: no memory to resume the others\n"
              "  to do: `shadowcl resume --all`\n",
              stderr);
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
        if (options.image)
            suspend_to_image(&targets, &options);
        else
            suspend_all(&targets, &options);
        code = answer(ANSWER_SUSPEND, options.json, targets.list, targets.count);
    }
    if (options.all)
        targets_note_uncovered(&targets);
    targets_finish(&targets);
    options_finish(&options);
    return code;
}
