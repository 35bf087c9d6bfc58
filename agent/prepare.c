/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl prepare`: the programs of processes that run on are built for the device that they will
 * move to. */
#include "agent/answer.h"
#include "agent/ask.h"
#include "agent/targets.h"
#include "agent/verbs.h"

/* Seconds beyond the deadline, for the drivers' builds. */
static const double build_time = 600;

static const struct argp_option prepare_options[] = {
    OPTIONS_ALL,
    {"device", OPTION_DEVICE, "SPEC", 0,
     "What for: PLATFORM:INDEX, a name, part of a name or a number; with commas, one for each "
     "device in use",
     0},
    OPTIONS_DEADLINE,
    OPTIONS_JSON,
    {"timeout", OPTION_TIMEOUT, "SEC", 0,
     "Stop waiting for the answer after so many seconds; by default 600 more than the deadline", 0},
    {0}};

static const struct argp prepare_argp = {
    prepare_options,
    options_parse_one,
    "PID... --device SPEC\n--all --device SPEC",
    "Build the programs of running processes for the device that they will move to, while they run "
    "on. A move there, or a suspend and `resume --device', then makes them from these binaries. "
    "What the process builds again meanwhile is not prepared any more. A suspend may come at any "
    "moment: it waits for the programs that are just being built."
    "\v"
    "With --all, processes that are suspended are left as they are.\n\n"
    "Exit codes: 0 done; 1 refused or failed, the message says why and what to do, what was built "
    "is kept and the program runs on; 2 wrong usage.",
    NULL,
    NULL,
    NULL};

int verb_prepare(int argc, char **argv)
{
    struct options options = {.needs_device = true};
    struct targets targets;
    struct error err = {0};
    int code = EXIT_REFUSED;
    options_parse(&options, &prepare_argp, argc, argv);
    if (targets_find(&targets, &options, &err) < 0 ||
        (options.all && targets_keep_undone(&targets, "suspended", &err) < 0)) {
        report_error("prepare", &err);
        if (options.json)
            answer_json_empty();
    } else {
        exchange_catch_signals();
        ask_build(targets.list, targets.count, options.deadline, options.resume.device,
                  options.timeout > 0 ? options.timeout : options.deadline + build_time);
        code = answer(ANSWER_PREPARE, options.json, targets.list, targets.count);
    }
    targets_finish(&targets);
    options_finish(&options);
    return code;
}
