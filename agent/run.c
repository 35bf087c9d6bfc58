/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl run`: sets the environment in which a program finds our library, and becomes it. What
 * would make that fail in silence is refused first. */
#include "agent/answer.h"
#include "agent/criu.h"
#include "agent/drivers.h"
#include "agent/environment.h"
#include "agent/escape.h"
#include "agent/periodic.h"
#include "agent/program.h"
#include "agent/report.h"
#include "agent/runtime_dir.h"
#include "agent/verbs.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OPTION_MAPPING = 256,
    OPTION_LOG,
    OPTION_DRIVERS,
    OPTION_RUNTIME_DIR,
    OPTION_FORCE,
    OPTION_JSON_RUN,
};

struct run {
    const char *mapping, *log, *drivers, *runtime_dir; /* NULL: as the environment says */
    struct periodic periodic;
    bool force, json;
    char **command; /* with its arguments */
};

static const struct argp_option run_options[] = {
    OPTIONS_PERIODIC,
    {"drivers", OPTION_DRIVERS, "LIST", 0,
     "Where OpenCL drivers are looked for: a folder of .icd files, or libraries separated by "
     "colons. Refused where none of them is there",
     0},
    {"force", OPTION_FORCE, 0, 0,
     "Start the program even if shadowcl can't reach it, or can't be spoken to", 0},
    {"json", OPTION_JSON_RUN, 0, 0, "If it is refused, answer with a JSON array", 0},
    {"log", OPTION_LOG, "LEVEL[:FILE]", 0,
     "What shadowcl's library says: error, warn, info or debug; to FILE or standard error. "
     "Nothing by default",
     0},
    {"mapping", OPTION_MAPPING, "HOW", 0,
     "How mapped pointers are made: auto, shared (over host memory) or copy", 0},
    {"runtime-dir", OPTION_RUNTIME_DIR, "DIR", 0, "Where the program listens for shadowcl", 0},
    {0}};

static void check_mapping(const char *text, struct argp_state *state)
{
    if (strcmp(text, "auto") && strcmp(text, "shared") && strcmp(text, "copy"))
        argp_error(state, "--mapping: `%s` is not auto, shared or copy", text);
}

static void check_log(const char *text, struct argp_state *state)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    size_t length = strcspn(text, ":");
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strlen(levels[i]) == length && !memcmp(levels[i], text, length) &&
            strcmp(text + length, ":"))
            return;
    argp_error(state, "--log: `%s` is not error, warn, info or debug, with or without :FILE", text);
}

static const char *check_text(const char *name, const char *text, struct argp_state *state)
{
    if (!*text)
        argp_error(state, "--%s is empty", name);
    return text;
}

static error_t parse_one(int key, char *text, struct argp_state *state)
{
    struct run *run = state->input;
    switch (key) {
    case OPTION_MAPPING:
        check_mapping(text, state);
        run->mapping = text;
        return 0;
    case OPTION_LOG:
        check_log(text, state);
        run->log = text;
        return 0;
    case OPTION_DRIVERS:
        run->drivers = check_text("drivers", text, state);
        return 0;
    case OPTION_RUNTIME_DIR:
        run->runtime_dir = check_text("runtime-dir", text, state);
        return 0;
    case OPTION_FORCE:
        run->force = true;
        return 0;
    case OPTION_JSON_RUN:
        run->json = true;
        return 0;
    case ARGP_KEY_ARG: /* the rest is the program's */
        run->command = state->argv + state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_END:
        if (!run->command)
            argp_error(state, "a command to run is missing");
        return periodic_parse(&run->periodic, key, text, state);
    default:
        return periodic_parse(&run->periodic, key, text, state);
    }
}

static const struct argp run_argp = {
    run_options,
    parse_one,
    "[--] CMD ARG...",
    "Run a program under shadowcl: its OpenCL calls go through shadowcl's library, so that it can "
    "be suspended, moved and resumed."
    "\v"
    "A program into which nothing can be preloaded (setuid, with file capabilities, statically "
    "linked, of another architecture) is refused.\n\n"
    "Exit codes: those of the program; 1 refused, 2 wrong usage, 126 CMD is not executable, 127 "
    "CMD is not there.",
    NULL,
    NULL,
    NULL};

static int set_one(const char *name, const char *value, struct error *err)
{
    if (value && setenv(name, value, 1) < 0)
        return error_set(err, errno, "can't set %s", name);
    return 0;
}

static int set_settings(const struct run *run, struct error *err)
{
    if (set_one("SHADOWCL_MAPPING", run->mapping, err) < 0 ||
        set_one("SHADOWCL_LOG", run->log, err) < 0 ||
        set_one("SHADOWCL_DRIVERS", run->drivers, err) < 0)
        return -1;
    return 0;
}

/* The program may change its folder before it listens. */
static int set_runtime_dir(const struct run *run, struct error *err)
{
    const char *set = run->runtime_dir ? run->runtime_dir : getenv("SHADOWCL_RUNTIME_DIR");
    char here[PATH_MAX], path[2 * PATH_MAX];
    if (!set || !*set)
        return 0;
    snprintf(path, sizeof path, "%s", set);
    if (set[0] != '/' && getcwd(here, sizeof here))
        snprintf(path, sizeof path, "%s/%s", here, set);
    return set_one("SHADOWCL_RUNTIME_DIR", path, err);
}

/* With --force, what could not be had is only said. */
static int tolerate(const struct run *run, int result, const struct error *err)
{
    if (result < 0 && run->force)
        report_note(err);
    return run->force ? 0 : result;
}

static int start_copies(const struct run *run, struct error *err)
{
    struct criu criu = {0};
    if (run->periodic.every && criu_find(&criu, err) < 0)
        return -1;
    *err = (struct error){0};
    return periodic_start(&run->periodic, getpid(), err);
}

static int prepare(const struct run *run, char path[PATH_MAX], int *code, struct error *err)
{
    char folder[PATH_MAX], directory[PATH_MAX];
    *code = EXIT_REFUSED;
    if (environment_find_library(folder, err) < 0 ||
        program_find(run->command[0], path, code, err) < 0 ||
        tolerate(run, program_check(path, err), err) < 0 || set_runtime_dir(run, err) < 0 ||
        tolerate(run, runtime_dir_prepare(getenv("SHADOWCL_RUNTIME_DIR"), directory, err), err) <
            0 ||
        set_settings(run, err) < 0 ||
        tolerate(run, drivers_check(getenv("SHADOWCL_DRIVERS"), err), err) < 0 ||
        start_copies(run, err) < 0)
        return -1;
    return environment_set(folder, err);
}

int verb_run(int argc, char **argv)
{
    struct run run = {0};
    struct error err = {0};
    char path[PATH_MAX];
    int code;
    argp_parse(&run_argp, argc, argv, ARGP_IN_ORDER, NULL, &run);
    if (prepare(&run, path, &code, &err) == 0) {
        escape_watch(getpid(), run.command);
        execv(path, run.command);
        if (errno == ENOEXEC && !program_is_elf(path))
            execvp(path, run.command); /* a script without `#!` goes to sh, as in a shell */
        code = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
        error_object(&err, "command `%s`", path);
        error_todo(&err, "see whether it is a program for this machine, and its interpreter is "
                         "there");
        error_set(&err, errno, "can't be started");
    }
    report_error("run", &err);
    if (run.json)
        answer_json_error(run.command[0], &err);
    return code;
}
