/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl save`: an image of a program's OpenCL objects, which goes on, or stays suspended. */
#include "agent/answer.h"
#include "agent/ask.h"
#include "agent/image_kept.h"
#include "agent/targets.h"
#include "agent/verbs.h"

#include <stdio.h>
#include <string.h>

static const struct argp_option save_options[] = {
    OPTIONS_DEADLINE,
    OPTIONS_PREPARE,
    OPTIONS_COMPRESS,
    OPTIONS_JSON,
    {"timeout", OPTION_TIMEOUT, "SEC", 0,
     "Stop waiting for the answer after so many seconds; by default 3600 more than the deadline",
     0},
    {0}};

static const struct argp save_argp = {
    save_options,
    options_parse_one,
    "PID FILE\nPID -",
    "Write an image of a program's OpenCL objects and their contents to a file, or with `-' to "
    "standard output; the program goes on. The file is there as a whole or not at all, and holds "
    "the program's data in clear, for its owner only."
    "\v"
    "With `-', answers go to standard error.\n\n"
    "Exit codes: 0 done; 1 refused or failed, the message says why, what to do and in which "
    "state the program now is; 2 wrong usage.",
    NULL,
    NULL,
    NULL};

static void save(struct targets *targets, const struct options *options, struct new_file *file)
{
    struct report *report = targets->list;
    double most = options->deadline + OPTIONS_IMAGE_TIME +
                  (options->prepare.wanted ? OPTIONS_PREPARE_TIME : 0);
    struct ask_image image = {.fd = file->fd, .compression = options->compression};
    ask_save(report, options->deadline, &options->prepare, &image,
             options->timeout > 0 ? options->timeout : most);
    image_kept(report, file, false);
}

/* Standard output is taken first of all: nothing else may get there. */
static int take_output(struct new_file *file, const char *path, struct error *err)
{
    *file = (struct new_file){.dir = -1, .fd = -1, .old = -1};
    return strcmp(path, "-") != 0 ? 0 : new_file_take_output(file, err);
}

static void make_and_save(struct targets *targets, const struct options *options,
                          struct new_file *file, int taken, struct error *err)
{
    if (targets_failed(targets))
        return;
    if (taken < 0 || (!file->is_stream && new_file_create(file, options->files[0], false, err) < 0))
        image_not_asked(targets->list, err);
    else
        save(targets, options, file);
}

int verb_save(int argc, char **argv)
{
    struct options options = {.one_pid = true, .takes_files = 1};
    struct targets targets;
    struct new_file file;
    struct error err = {0}, output = {0};
    int code = EXIT_REFUSED;
    options_parse(&options, &save_argp, argc, argv);
    int taken = take_output(&file, options.files[0], &output);
    if (targets_find(&targets, &options, &err) < 0) {
        report_error("save", &err);
        if (options.json)
            answer_json_empty();
    } else {
        exchange_catch_signals();
        make_and_save(&targets, &options, &file, taken, &output);
        code = answer(ANSWER_SAVE, options.json, targets.list, targets.count);
    }
    new_file_finish(&file);
    targets_finish(&targets);
    options_finish(&options);
    return code;
}
