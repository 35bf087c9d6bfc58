/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl resume`: each process for itself; one that can't stays suspended and can be tried
 * again. */
#include "agent/answer.h"
#include "agent/ask.h"
#include "agent/marks.h"
#include "agent/targets.h"
#include "agent/verbs.h"

/* Seconds: some drivers take minutes to build programs. */
static const double resume_time = 600;

static const struct argp_option resume_options[] = {
    OPTIONS_ALL,
    {"device", OPTION_DEVICE, "SPEC", 0,
     "Where to go on: PLATFORM:INDEX, a name, part of a name or a number; with commas, one for "
     "each device in use. The device it had, by default",
     0},
    OPTIONS_STRICT,
    OPTIONS_LAZY,
    OPTIONS_JSON,
    {"timeout", OPTION_TIMEOUT, "SEC", 0,
     "Stop waiting for the answer after so many seconds, 600 by default", 0},
    {0}};

static const struct argp resume_argp = {
    resume_options,
    options_parse_one,
    "PID...\n--all",
    "Resume suspended processes, on the device they had or on another one. Each stands for "
    "itself: one that can't be resumed stays suspended, with its state, and can be tried again."
    "\v"
    "With --all, processes that run already are left as they are, and programs that wait at their "
    "first call because the agent has suspended the machine go on.\n\n"
    "Exit codes: 0 done; 1 refused or failed, the message says why, what to do and in which "
    "state the program now is; 2 wrong usage.",
    NULL,
    NULL,
    NULL};

int verb_resume(int argc, char **argv)
{
    struct options options = {0};
    struct targets targets;
    struct error err = {0};
    int code = EXIT_REFUSED;
    options_parse(&options, &resume_argp, argc, argv);
    if (targets_find(&targets, &options, &err) < 0 ||
        (options.all && targets_keep_undone(&targets, "running", &err) < 0)) {
        report_error("resume", &err);
        if (options.json)
            answer_json_empty();
    } else {
        exchange_catch_signals();
        ask_resume(targets.list, targets.count, &options.resume,
                   options.timeout > 0 ? options.timeout : resume_time);
        code = answer(ANSWER_RESUME, options.json, targets.list, targets.count);
    }
    /* Also when none is left to be resumed: programs wait at their first call while a mark stands.
     */
    if (options.all)
        marks_remove_all();
    targets_finish(&targets);
    options_finish(&options);
    return code;
}
