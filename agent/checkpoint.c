/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl checkpoint`: a suspended program, or a tree of them, copied to a directory by CRIU. All
 * that can stand against it is looked for before the program is touched; what fails later leads
 * back. */
#include "agent/answer.h"
#include "agent/criu.h"
#include "agent/explain.h"
#include "agent/group.h"
#include "agent/obstacles.h"
#include "agent/options.h"
#include "agent/place.h"
#include "agent/process.h"
#include "agent/saved.h"
#include "agent/text.h"
#include "agent/verbs.h"

#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OPTION_LEAVE = 'R',
    OPTION_TREE = 'T',
    OPTION_FILES = 'f',
    OPTION_EXPLAIN = 'x',
    SETTLE_TRIES = 200,
};

struct checkpoint {
    pid_t pid;
    const char *dir;
    bool leave_running, tree, with_files, explain;
    bool is_whole; /* the copy */
    struct options options;
    struct criu criu;
    struct group group;
    struct saved saved;
    double suspend_ms, dump_ms, resume_ms, total_ms;
};

static const struct argp_option checkpoint_options[] = {
    {"leave-running", OPTION_LEAVE, 0, 0, "Let the program go on afterwards; it ends by default",
     0},
    {"tree", OPTION_TREE, 0, 0, "Take its child processes along", 0},
    {"with-files", OPTION_FILES, 0, 0,
     "Put the files that it has mapped there too, for a place that lacks them", 0},
    {"explain", OPTION_EXPLAIN, 0, 0,
     "Touch nothing: print what stands against it, and which files must be there where it is "
     "restored",
     0},
    OPTIONS_DEADLINE,
    OPTIONS_JSON,
    {0}};

static void parse_word(struct checkpoint *checkpoint, char *text, struct argp_state *state)
{
    if (!checkpoint->pid)
        checkpoint->pid = options_parse_pid(text, state);
    else if (!checkpoint->dir)
        checkpoint->dir = text;
    else
        argp_error(state, "`%s` is too much; options for CRIU go behind `--`", text);
}

static error_t parse_one(int key, char *text, struct argp_state *state)
{
    struct checkpoint *checkpoint = state->input;
    switch (key) {
    case OPTION_LEAVE:
        checkpoint->leave_running = true;
        return 0;
    case OPTION_TREE:
        checkpoint->tree = true;
        return 0;
    case OPTION_FILES:
        checkpoint->with_files = true;
        return 0;
    case OPTION_EXPLAIN:
        checkpoint->explain = true;
        return 0;
    case ARGP_KEY_ARG:
        parse_word(checkpoint, text, state);
        return 0;
    case ARGP_KEY_END:
        if (!checkpoint->pid)
            argp_error(state, "a process id is missing");
        if (!checkpoint->dir && !checkpoint->explain)
            argp_error(state, "a directory is missing: where to?");
        return 0;
    default:
        return options_take(&checkpoint->options, key, text, state);
    }
}

static const struct argp checkpoint_argp = {
    checkpoint_options,
    parse_one,
    "PID DIR [-- CRIU-OPTION...]\n--explain PID",
    "Copy a program to a directory, so that `shadowcl restore` can make it again, here or "
    "elsewhere, on the same or another device. It lets go of its device first; CRIU copies the "
    "rest. If that fails, it runs on."
    "\v"
    "Exit codes: 0 done; 1 refused or failed, the message says why, what to do and in which "
    "state the program now is; 2 wrong usage.",
    NULL,
    NULL,
    NULL};

static double ms_since(double start)
{
    return (text_clock() - start) * 1e3;
}

static int check_obstacles(const struct checkpoint *checkpoint, int what, struct error *err)
{
    struct obstacles obstacles;
    obstacles_find_settled(&obstacles, &checkpoint->group.tree, what, NULL);
    int result = obstacles_refuse(&obstacles, err);
    obstacles_finish(&obstacles);
    return result;
}

/* What a container calls so is another file here. */
static int check_files(const struct checkpoint *checkpoint, struct error *err)
{
    const struct tree *tree = &checkpoint->group.tree;
    for (size_t i = 0; checkpoint->with_files && i < tree->count; i++) {
        if (!place_is_apart(tree->pids[i]))
            continue;
        error_object(err, "process %d", (int)tree->pids[i]);
        error_set(err, 0,
                  "it sees other files than this command, as in a container, which can't "
                  "be put there");
        return error_todo(err, "leave out --with-files, and copy the container's files yourself");
    }
    return 0;
}

/* Without touching anything. */
static int check(struct checkpoint *checkpoint, struct error *err)
{
    if (criu_find(&checkpoint->criu, err) < 0)
        return -1;
    *err = (struct error){0};
    if (group_find(&checkpoint->group, checkpoint->pid, err) < 0 ||
        group_check_children(&checkpoint->group, checkpoint->tree, err) < 0 ||
        check_files(checkpoint, err) < 0)
        return -1;
    return check_obstacles(checkpoint, obstacles_wanted(&checkpoint->criu), err);
}

/* The processes are stopped, and their copy is on the disk. */
static void end_all(const struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        kill(tree->pids[i], SIGKILL);
    for (size_t i = 0; i < tree->count; i++)
        for (int tries = 0; tries < SETTLE_TRIES && process_lives(tree->pids[i]); tries++)
            usleep(10000);
}

static void continue_all(const struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        kill(tree->pids[i], SIGCONT);
}

/* CRIU has copied, and stopped, also those that were started since the tree was read. */
static int take_newcomers(struct checkpoint *checkpoint, struct error *err)
{
    int count = group_take_newcomers(&checkpoint->group, err);
    if (count <= 0)
        return count;
    if (group_check_children(&checkpoint->group, checkpoint->tree, err) < 0)
        return -1;
    return saved_describe(&checkpoint->saved, &checkpoint->group.tree, checkpoint->group.resumes,
                          &checkpoint->criu, err);
}

/* The same where it runs on: those that are in the copy may have ended already. */
static int check_copied_children(const struct checkpoint *checkpoint, struct error *err)
{
    size_t count = json_array_size(json_object_get(checkpoint->saved.json, "processes"));
    if (checkpoint->tree || count <= 1)
        return 0;
    error_object(err, "process %d", (int)checkpoint->pid);
    error_set(err, 0, "it has started %zu child process%s while it was copied", count - 1,
              count == 2 ? "" : "es");
    return error_todo(err, "take them along with --tree");
}

/* No more is needed of the program for this. */
static int complete(struct checkpoint *checkpoint, struct error *err)
{
    if (checkpoint->with_files && saved_keep_files(&checkpoint->saved, err) < 0)
        return -1;
    checkpoint->is_whole = saved_commit(&checkpoint->saved, err) == 0;
    return checkpoint->is_whole ? 0 : -1;
}

static void note_pipes(const struct saved *saved)
{
    const json_t *pipes = json_object_get(saved->json, "pipes");
    for (size_t i = 0; i < json_array_size(pipes); i++) {
        struct error err = {0};
        if (saved_explain_pipe(json_array_get(pipes, i), &err))
            report_note(&err);
    }
}

static int dump(struct checkpoint *checkpoint, struct error *err)
{
    struct group *group = &checkpoint->group;
    double start = text_clock();
    *err = (struct error){0};
    int what = obstacles_wanted(&checkpoint->criu) | OBSTACLES_DEVICES;
    if (check_obstacles(checkpoint, what, err) < 0 ||
        saved_describe(&checkpoint->saved, &group->tree, group->resumes, &checkpoint->criu, err) <
            0 ||
        criu_dump(&checkpoint->criu, checkpoint->pid, checkpoint->saved.dir,
                  checkpoint->leave_running, err) < 0)
        return -1;
    checkpoint->dump_ms = ms_since(start);
    note_pipes(&checkpoint->saved);
    saved_take_images(&checkpoint->saved, group->resumes[0]);
    if (checkpoint->leave_running) /* it need not wait for the disk */
        return check_copied_children(checkpoint, err);
    int result = take_newcomers(checkpoint, err);
    if (result == 0)
        result = complete(checkpoint, err);
    if (result == 0)
        end_all(&group->tree);
    else
        continue_all(&group->tree);
    return result;
}

/* What was in the way stays in `err`; what is then in the way of going on is added. */
static void add_suspended(const struct checkpoint *checkpoint, const struct error *why,
                          struct error *err)
{
    error_todo(err, "resuming it failed too (%s: %s); try `shadowcl resume %d`", why->object,
               why->reason, (int)checkpoint->pid);
}

static void go_back(struct checkpoint *checkpoint, struct error *err)
{
    struct error why = {0};
    saved_abandon(&checkpoint->saved);
    if (group_return(&checkpoint->group, "", false, &why) < 0)
        add_suspended(checkpoint, &why, err);
}

/* A copy is no less whole where the program can't go on. */
static int finish_running(struct checkpoint *checkpoint, struct error *err)
{
    struct error why = {0};
    double start = text_clock();
    int resumed = group_return(&checkpoint->group, "", false, &why);
    checkpoint->resume_ms = ms_since(start);
    int result = complete(checkpoint, err);
    if (result < 0)
        saved_abandon(&checkpoint->saved);
    if (resumed == 0)
        return result;
    if (result < 0) {
        add_suspended(checkpoint, &why, err);
        return -1;
    }
    *err = why;
    return error_todo(err, "the copy is whole; try `shadowcl resume %d`%s%s", (int)checkpoint->pid,
                      why.todo[0] ? "; " : "", why.todo);
}

static int carry_out(struct checkpoint *checkpoint, struct error *err)
{
    double start = text_clock();
    if (check(checkpoint, err) < 0 || saved_create(&checkpoint->saved, checkpoint->dir, err) < 0)
        return -1;
    *err = (struct error){0};
    exchange_catch_signals();
    double suspending = text_clock();
    if (group_leave(&checkpoint->group, checkpoint->options.deadline, err) < 0) {
        saved_abandon(&checkpoint->saved);
        return -1;
    }
    checkpoint->suspend_ms = ms_since(suspending);
    if (dump(checkpoint, err) < 0) {
        go_back(checkpoint, err);
        return -1;
    }
    int result = checkpoint->leave_running ? finish_running(checkpoint, err) : 0;
    checkpoint->total_ms = ms_since(start);
    return result;
}

/* At the end. */
static const char *state_of(const struct checkpoint *checkpoint)
{
    return process_lives(checkpoint->pid) ? group_state(&checkpoint->group) : "gone";
}

static void print_json(const struct checkpoint *checkpoint, int result, const struct error *err)
{
    const struct saved *saved = &checkpoint->saved;
    json_t *failure = result == 0 ? json_null() : answer_failure(err);
    json_t *processes = json_deep_copy(json_object_get(saved->json, "processes"));
    json_t *answer =
        json_pack("[{s:i, s:s, s:s, s:I, s:o, s:{s:f, s:f, s:f, s:f}, s:o}]", "pid",
                  (int)checkpoint->pid, "state", state_of(checkpoint), "directory", saved->dir,
                  "bytes", (json_int_t)(checkpoint->is_whole ? saved_bytes(saved) : 0), "processes",
                  processes ? processes : json_array(), "ms", "suspend", checkpoint->suspend_ms,
                  "dump", checkpoint->dump_ms, "resume", checkpoint->resume_ms, "total",
                  checkpoint->total_ms, "error", failure);
    json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    putchar('\n');
    json_decref(answer);
}

static void print_done(const struct checkpoint *checkpoint)
{
    char bytes[32];
    text_bytes(bytes, sizeof bytes, saved_bytes(&checkpoint->saved));
    printf("%d: copied to %s in %.1f ms (suspend %.1f, dump %.1f", (int)checkpoint->pid,
           checkpoint->saved.dir, checkpoint->total_ms, checkpoint->suspend_ms,
           checkpoint->dump_ms);
    if (checkpoint->leave_running)
        printf(", resume %.1f), %s; it runs on\n", checkpoint->resume_ms, bytes);
    else
        printf("), %zu process%s, %s; ended\n", checkpoint->group.tree.count,
               checkpoint->group.tree.count == 1 ? "" : "es", bytes);
}

static int explain_one(const struct checkpoint *checkpoint)
{
    struct error err = {0};
    struct explain_wish wish = {checkpoint->pid, checkpoint->tree, checkpoint->options.json,
                                checkpoint->criu.more};
    int code = explain(&wish, &err);
    if (code >= 0)
        return code;
    report_error("checkpoint", &err);
    fprintf(stderr, "  state: %s\n", state_of(checkpoint));
    if (checkpoint->options.json)
        print_json(checkpoint, code, &err);
    return EXIT_REFUSED;
}

int verb_checkpoint(int argc, char **argv)
{
    struct checkpoint checkpoint = {.saved = {.fd = -1}};
    struct error err = {0};
    checkpoint.criu.more = options_split(&argc, argv);
    options_set_defaults(&checkpoint.options);
    argp_parse(&checkpoint_argp, argc, argv, 0, NULL, &checkpoint);
    if (checkpoint.explain)
        return explain_one(&checkpoint);
    int result = carry_out(&checkpoint, &err);
    if (result < 0) {
        report_error("checkpoint", &err);
        fprintf(stderr, "  state: %s\n", state_of(&checkpoint));
    }
    if (checkpoint.options.json)
        print_json(&checkpoint, result, &err);
    else if (result == 0)
        print_done(&checkpoint);
    group_finish(&checkpoint.group);
    saved_finish(&checkpoint.saved);
    return result == 0 ? EXIT_DONE : EXIT_REFUSED;
}
