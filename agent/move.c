/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl move`: suspend and resume on another device in one step. The process does both, so
 * that it can check the new device before it lets go of the old one. */
#include "agent/answer.h"
#include "agent/ask.h"
#include "agent/targets.h"
#include "agent/verbs.h"

/* Seconds beyond the deadline: capture and release, then the drivers' builds. */
static const double capture_time = 120, resume_time = 600;

static const struct argp_option move_options[] = {
    {"device", OPTION_DEVICE, "SPEC", 0,
     "Where to: PLATFORM:INDEX, a name, part of a name or a number; with commas, one for each "
     "device in use",
     0},
    OPTIONS_DEADLINE,
    OPTIONS_PREPARE,
    OPTIONS_STRICT,
    OPTIONS_LAZY,
    OPTIONS_JSON,
    {"timeout", OPTION_TIMEOUT, "SEC", 0,
     "Stop waiting for the answer after so many seconds; by default 720 more than the deadline", 0},
    {0}};

static const struct argp move_argp = {
    move_options,
    options_parse_one,
    "PID",
    "Move a running process to another device. Where that can't do what the program's objects use, "
    "the message says what is missing and the program goes on where it was."
    "\v"
    "Exit codes: 0 done; 1 refused or failed, the message says why, what to do and in which "
    "state the program now is; 2 wrong usage.",
    NULL,
    NULL,
    NULL};

int verb_move(int argc, char **argv)
{
    struct options options = {.one_pid = true, .needs_device = true};
    struct targets targets;
    struct error err = {0};
    int code = EXIT_REFUSED;
    options_parse(&options, &move_argp, argc, argv);
    if (targets_find(&targets, &options, &err) < 0) {
        report_error("move", &err);
        if (options.json)
            answer_json_empty();
    } else {
        double most = options.deadline + capture_time + resume_time +
                      (options.prepare.wanted ? OPTIONS_PREPARE_TIME : 0);
        exchange_catch_signals();
        ask_move(targets.list, targets.count, options.deadline, &options.prepare, &options.resume,
                 options.timeout > 0 ? options.timeout : most);
        code = answer(ANSWER_MOVE, options.json, targets.list, targets.count);
    }
    targets_finish(&targets);
    options_finish(&options);
    return code;
}
