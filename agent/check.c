/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl check`: would a program, or what is in an image, find all it needs on another device?
 * Without a device: could a program be suspended? Nothing is touched: a process answers from what
 * it knows, an image is read by a process of its own. */
#include "agent/answer.h"
#include "agent/ask.h"
#include "agent/loaded.h"
#include "agent/rebuild.h"
#include "agent/targets.h"
#include "agent/verbs.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Seconds: drivers take their time to load. */
static const double check_time = 600;

struct check {
    struct options options; /* the first: options_parse_one fills it in */
    struct targets targets; /* empty where it is a file */
    json_t *outcome;        /* owned: devices, warnings, missing; NULL: it failed */
    struct error error;
};

static const struct argp_option check_options[] = {
    {"device", OPTION_DEVICE, "SPEC", 0,
     "Which one: PLATFORM:INDEX, a name, part of a name or a number; with commas, one for each "
     "device in use",
     0},
    OPTIONS_STRICT,
    OPTIONS_DEADLINE,
    OPTIONS_JSON,
    {"timeout", OPTION_TIMEOUT, "SEC", 0,
     "Stop waiting for the answer after so many seconds, 600 by default", 0},
    {0}};

static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == 0;
}

static error_t parse_one(int key, char *text, struct argp_state *state)
{
    struct options *options = &((struct check *)state->input)->options;
    if (key == ARGP_KEY_ARG && (options->num_pids || options->num_files))
        argp_error(state, "one process id or file at a time");
    if (key == ARGP_KEY_ARG && !is_number(text)) {
        options->files[options->num_files++] = text;
        return 0;
    }
    if (key != ARGP_KEY_END)
        return options_parse_one(key, text, state);
    if (!options->num_pids && !options->num_files)
        argp_error(state, "a process id or an image file is missing");
    if (options->num_files && !*options->resume.device)
        argp_error(state, "--device is missing: which one?");
    return 0;
}

static const struct argp check_argp = {
    check_options,
    parse_one,
    "PID\nPID --device SPEC\nFILE --device SPEC",
    "Could a program be suspended? With --device: would it, or what is in an image file, find all "
    "it needs there? Each thing that stands against it is named; the program is not touched. A "
    "file whose name is a number: ./NUMBER."
    "\v"
    "Exit codes: 0 nothing stands against it; 1 something does, or it can't be told, the message "
    "says why; 2 wrong usage.",
    NULL,
    NULL,
    NULL};

static json_t *missing_json(const struct report *report)
{
    json_t *array = json_array();
    for (size_t i = 0; i < report->response->n_missing; i++) {
        struct error thing = report_finding(report, i);
        json_array_append_new(array, answer_failure(&thing));
    }
    return array;
}

static bool asks_device(const struct check *check)
{
    return *check->options.resume.device;
}

static void check_process(struct check *check)
{
    const struct options *options = &check->options;
    if (targets_find(&check->targets, options, &check->error) < 0)
        return;
    struct report *report = check->targets.list;
    struct ask_check what = {asks_device(check) ? options->resume.device : NULL,
                             options->resume.strict};
    exchange_catch_signals();
    ask_check(report, 1, options->deadline, &what,
              options->timeout > 0 ? options->timeout : check_time);
    if (report->failed)
        check->error = report->error;
    else
        check->outcome =
            json_pack("{s:o, s:o, s:o}", "devices", answer_devices(report->response), "warnings",
                      answer_warnings(report->response), "missing", missing_json(report));
}

static void check_file(struct check *check)
{
    const struct options *options = &check->options;
    struct loaded image;
    if (loaded_open(&image, options->files[0], &check->error) < 0)
        return;
    loaded_close(&image);
    exchange_catch_signals();
    check->outcome =
        rebuild_run("check", options->files[0], options->resume.device, options->resume.strict,
                    options->timeout > 0 ? options->timeout : check_time, &check->error);
}

static bool resumes(const struct check *check)
{
    return check->outcome && !json_array_size(json_object_get(check->outcome, "missing"));
}

static const struct report *report_of(const struct check *check)
{
    return check->targets.count ? check->targets.list : NULL;
}

static void say(const struct check *check)
{
    const struct report *report = report_of(check);
    char subject[128];
    if (report)
        snprintf(subject, sizeof subject, "%d %s", (int)report->pid, report->command);
    else
        snprintf(subject, sizeof subject, "%.120s",
                 check->options.num_files ? check->options.files[0] : "");
    if (!check->outcome && report)
        report_say_failure(report, "check");
    else if (!check->outcome)
        report_error("check", &check->error);
    rebuild_say("check", subject, check->outcome);
    if (!resumes(check) || check->options.json)
        return;
    if (asks_device(check)) {
        printf("%s: nothing is missing", subject);
        rebuild_print_devices(check->outcome);
    } else {
        printf("%s: nothing stands against a suspend", subject);
    }
    putchar('\n');
    fflush(stdout);
}

static json_t *part(const struct check *check, const char *name)
{
    json_t *list = json_object_get(check->outcome, name);
    return list ? json_incref(list) : json_array();
}

static int print_json(const struct check *check)
{
    const struct report *report = report_of(check);
    const struct options *options = &check->options;
    json_t *element =
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "pid",
                  options->num_pids ? json_integer(options->pids[0]) : json_null(), "state",
                  report ? json_string(report->state) : json_null(), "file",
                  options->num_files ? answer_string(options->files[0]) : json_null(), "resumes",
                  check->outcome ? json_boolean(resumes(check)) : json_null(), "devices",
                  part(check, "devices"), "warnings", part(check, "warnings"), "missing",
                  part(check, "missing"), "error",
                  check->outcome ? json_null() : answer_failure(&check->error));
    return answer_print(json_pack("[o]", element));
}

int verb_check(int argc, char **argv)
{
    struct check check = {.options = {.one_pid = true}};
    options_parse(&check.options, &check_argp, argc, argv);
    if (check.options.num_pids)
        check_process(&check);
    else
        check_file(&check);
    say(&check);
    int code = resumes(&check) ? EXIT_DONE : EXIT_REFUSED;
    if (check.options.json && print_json(&check) < 0)
        code = EXIT_REFUSED;
    json_decref(check.outcome);
    targets_finish(&check.targets);
    options_finish(&check.options);
    return code;
}
