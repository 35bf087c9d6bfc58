/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl criu-hook`: what CRIU's plugin (criu/plugin.c) and action script call, before and after
 * CRIU does its part. Processes that have nothing to do with us are left alone, without a word. */
#include "agent/ask.h"
#include "agent/away.h"
#include "agent/group.h"
#include "agent/process.h"
#include "agent/verbs.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_TREE = 'T' };
static const double default_deadline = 60;

/* Of `pause`: nothing to do for the plugin afterwards. */
enum { EXIT_NOT_OURS = 3 };

struct hook {
    bool pause, tree;
    pid_t pid;
    double deadline;
    const char *device;
};

static const struct argp_option hook_options[] = {
    {"tree", OPTION_TREE, 0, 0, "Its child processes too", 0},
    {"device", OPTION_DEVICE, "SPEC", 0, "Where `resume` goes on", 0},
    {"deadline", OPTION_DEADLINE, "SEC", 0,
     "Seconds that work on the device may take to end, 60 "
     "by default",
     0},
    {0}};

static error_t parse_one(int key, char *text, struct argp_state *state)
{
    struct hook *hook = state->input;
    char *end;
    switch (key) {
    case OPTION_TREE:
        hook->tree = true;
        return 0;
    case OPTION_DEVICE:
        hook->device = text;
        return 0;
    case OPTION_DEADLINE:
        hook->deadline = strtod(text, &end);
        if (*end || !(hook->deadline > 0))
            argp_error(state, "--deadline: `%s` is not a number of seconds above 0", text);
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num == 0 && strcmp(text, "pause") && strcmp(text, "resume"))
            argp_error(state, "`%s` is neither pause nor resume", text);
        if (state->arg_num == 0)
            hook->pause = !strcmp(text, "pause");
        else if (state->arg_num > 1 || (hook->pid = (pid_t)strtol(text, &end, 10)) < 1 || *end)
            argp_error(state, "`%s` is not a process id", text);
        return 0;
    case ARGP_KEY_END:
        if (!hook->pid)
            argp_error(state, "pause or resume, and a process id, are missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp hook_argp = {
    hook_options,
    parse_one,
    "pause PID\nresume PID",
    "What CRIU's plugin and action script call. `pause` suspends a process and lets it close its "
    "socket, so that CRIU can copy it; `resume` tells it to listen and go on, as soon as it runs."
    "\v"
    "Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 it has nothing to do with shadowcl.",
    NULL,
    NULL,
    NULL};

static bool is_ours(const struct targets *targets)
{
    for (size_t i = 0; i < targets->count; i++)
        if (targets->list[i].peer)
            return true;
    return false;
}

/* One that has left already stays as it is: whoever let it leave lets it come back. */
static int pause_all(const struct hook *hook, struct error *err)
{
    struct group group = {0};
    char library[64];
    int code = EXIT_REFUSED;
    if (away_is(hook->pid) || !process_opencl(hook->pid, library, sizeof library))
        return EXIT_NOT_OURS;
    int result = group_find_alone(&group, hook->pid, hook->tree, err);
    if (result == 0)
        result = group_leave(&group, hook->deadline, err);
    else if (!is_ours(&group.targets) &&
             !(process_opencl(hook->pid, library, sizeof library) & PROCESS_OPENCL))
        code = EXIT_NOT_OURS; /* our library, and no OpenCL call yet */
    group_finish(&group);
    return result == 0 ? EXIT_DONE : code;
}

static int resume_all(const struct hook *hook, struct error *err)
{
    struct tree tree;
    int code = EXIT_NOT_OURS;
    if (tree_find(&tree, hook->pid, err) < 0)
        return EXIT_REFUSED;
    size_t count = hook->tree ? tree.count : 1;
    for (size_t i = 0; i < count && code != EXIT_REFUSED; i++)
        if (away_is(tree.pids[i]))
            code = away_resume(tree.pids[i], hook->device, err) < 0 ? EXIT_REFUSED : EXIT_DONE;
    tree_finish(&tree);
    return code;
}

int verb_criu_hook(int argc, char **argv)
{
    struct hook hook = {.deadline = default_deadline, .device = ""};
    struct error err = {0};
    argp_parse(&hook_argp, argc, argv, 0, NULL, &hook);
    int code = hook.pause ? pause_all(&hook, &err) : resume_all(&hook, &err);
    if (code == EXIT_REFUSED)
        report_error("criu-hook", &err);
    return code;
}
