/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl restore`: makes a program again from what `shadowcl checkpoint` has copied, and resumes
 * it on a device. Unless it is to be left alone, the command stays, passes signals on, and ends as
 * the program ends. */
#include "agent/answer.h"
#include "agent/criu.h"
#include "agent/group.h"
#include "agent/options.h"
#include "agent/periodic.h"
#include "agent/process.h"
#include "agent/runtime_dir.h"
#include "agent/saved.h"
#include "agent/text.h"
#include "agent/verbs.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPTION_DETACH = 'D', OPTION_TRUNCATE = 'c', MAX_PIPES = 8, BURIAL_TRIES = 300 };

struct restore {
    const char *dir;
    bool detach, truncate;
    struct options options;
    struct periodic periodic;
    struct criu criu;
    struct group group;
    struct saved saved;
    pid_t pid; /* of the program; 0 before it is there */
    bool is_resumed;
    size_t num_pipes;
    int passed[MAX_PIPES];
    char pipes[MAX_PIPES][64];
    char *inherit[2 * MAX_PIPES + 1];
    double restore_ms, resume_ms;
};

static const struct argp_option restore_options[] = {
    OPTIONS_PERIODIC,
    {"detach", OPTION_DETACH, 0, 0,
     "Return as soon as the program runs, instead of staying until it ends", 0},
    {"device", OPTION_DEVICE, "SPEC", 0,
     "Where to go on: PLATFORM:INDEX, a name, part of a name or a number; with commas, one for "
     "each device in use. The device it had, by default",
     0},
    OPTIONS_STRICT,
    {"truncate", OPTION_TRUNCATE, 0, 0,
     "Cut files that the program writes to and that have grown since to the size they had", 0},
    OPTIONS_JSON,
    {0}};

static error_t parse_one(int key, char *text, struct argp_state *state)
{
    struct restore *restore = state->input;
    switch (key) {
    case OPTION_DETACH:
        restore->detach = true;
        return 0;
    case OPTION_TRUNCATE:
        restore->truncate = true;
        return 0;
    case ARGP_KEY_ARG:
        if (restore->dir)
            argp_error(state, "`%s` is too much; options for CRIU go behind `--`", text);
        restore->dir = text;
        return 0;
    case ARGP_KEY_END:
        if (!restore->dir)
            argp_error(state, "a directory is missing: where from?");
        return periodic_parse(&restore->periodic, key, text, state);
    default:
        if (periodic_parse(&restore->periodic, key, text, state) == 0)
            return 0;
        return options_take(&restore->options, key, text, state);
    }
}

static const struct argp restore_argp = {
    restore_options,
    parse_one,
    "DIR [-- CRIU-OPTION...]",
    "Make a program again from what `shadowcl checkpoint` has put into DIR, or into the newest "
    "whole directory in it, and resume it. Unless --detach is given, the command stays, and ends "
    "with the program's exit code."
    "\v"
    "Exit codes: those of the program; with --detach 0 done; 1 refused or failed, the message says "
    "why, what to do and in which state the program now is; 2 wrong usage.",
    NULL,
    NULL,
    NULL};

/* The dead keep their numbers until their parents, or init, have seen to them. */
static bool is_free(pid_t pid)
{
    for (int tries = 0; tries < BURIAL_TRIES; tries++) {
        if (kill(pid, 0) < 0 && errno == ESRCH)
            return true;
        if (process_lives(pid))
            return false;
        usleep(10000);
    }
    return false;
}

static pid_t number(const json_t *process, const char *which)
{
    return (pid_t)json_integer_value(json_object_get(process, which));
}

/* Whether its process ids are free can be told only here and now. Where the first is that of a pid
 * namespace, CRIU makes a new one. */
static int check_pids(const struct restore *restore, struct error *err)
{
    const json_t *processes = json_object_get(restore->saved.json, "processes");
    if (number(json_array_get(processes, 0), "inside") == 1)
        return 0;
    for (size_t i = 0; i < json_array_size(processes); i++) {
        int pid = (int)number(json_array_get(processes, i), "pid");
        if (pid <= 0 || is_free(pid))
            continue;
        error_object(err, "process %d", pid);
        error_set(err, 0, "its number is in use here by another process%s",
                  process_lives(pid) ? "" : " (a dead one, whose parent has not seen to it)");
        return error_todo(err, "end that one, or restore in a pid namespace of its own: `unshare "
                               "--pid --fork --mount-proc shadowcl restore ...`");
    }
    return 0;
}

/* Its standard input and outputs, where they led to others, become ours; CRIU has others itself. */
static void inherit_pipes(struct restore *restore)
{
    const json_t *pipes = json_object_get(restore->saved.json, "pipes");
    for (size_t i = 0; i < json_array_size(pipes) && restore->num_pipes < MAX_PIPES; i++) {
        const json_t *pipe = json_array_get(pipes, i);
        int fd = (int)json_integer_value(json_object_get(pipe, "fd"));
        int passed = fd < 0 || fd > 2 ? -1 : fcntl(fd, F_DUPFD, 3);
        if (passed < 0)
            continue;
        size_t at = restore->num_pipes++;
        restore->passed[at] = passed;
        snprintf(restore->pipes[at], sizeof restore->pipes[at], "fd[%d]:pipe:[%lld]", passed,
                 (long long)json_integer_value(json_object_get(pipe, "inode")));
        restore->inherit[2 * at] = "--inherit-fd";
        restore->inherit[2 * at + 1] = restore->pipes[at];
    }
}

static void close_passed(struct restore *restore)
{
    for (size_t i = 0; i < restore->num_pipes; i++)
        close(restore->passed[i]);
    restore->num_pipes = 0;
}

static int prepare(struct restore *restore, struct error *err)
{
    char runtime[PATH_MAX];
    if (criu_find(&restore->criu, err) < 0)
        return -1;
    *err = (struct error){0};
    if (saved_open(&restore->saved, restore->dir, err) < 0)
        return -1;
    *err = (struct error){0};
    if (runtime_dir_prepare(getenv("SHADOWCL_RUNTIME_DIR"), runtime, err) < 0 ||
        saved_check(&restore->saved, restore->truncate, err) < 0)
        return -1;
    *err = (struct error){0};
    return check_pids(restore, err) < 0 || periodic_check(&restore->periodic, err) < 0
               ? -1
               : saved_make_ready(&restore->saved, err);
}

/* By the number that it has where it runs, which is the same again. (Copies of earlier versions say
 * only what they were called from outside.) */
static bool ran_before(const struct saved *saved, pid_t pid)
{
    const json_t *processes = json_object_get(saved->json, "processes");
    pid_t inner = process_inner_pid(pid);
    for (size_t i = 0; i < json_array_size(processes); i++) {
        const json_t *process = json_array_get(processes, i);
        pid_t inside = number(process, "inside");
        if (inside ? inside == inner : number(process, "pid") == pid)
            return json_is_true(json_object_get(process, "resumes"));
    }
    return false;
}

/* The first process of a pid namespace takes all others with it when it ends. */
static bool is_first(void)
{
    return getpid() == 1;
}

/* It stays as it was made: nothing is lost, and it can be tried again. */
static int suggest_retry(const struct restore *restore, struct error *err)
{
    const struct error before = *err;
    const char *comma = before.todo[0] ? "; " : "";
    if (!process_lives(restore->pid))
        return -1;
    if (is_first())
        return error_todo(err,
                          "restore it again: this command is the first of its pid namespace, "
                          "where nothing outlives it%s%s",
                          comma, before.todo);
    return error_todo(err, "`shadowcl resume %d` tries again%s%s", (int)restore->pid, comma,
                      before.todo);
}

static int resume(struct restore *restore, struct error *err)
{
    struct group *group = &restore->group;
    double start = text_clock();
    if (group_find(group, restore->pid, err) < 0)
        return -1;
    for (size_t i = 0; i < group->tree.count; i++)
        group->resumes[i] = ran_before(&restore->saved, group->tree.pids[i]);
    int result =
        group_return(group, restore->options.resume.device, restore->options.resume.strict, err);
    restore->resume_ms = (text_clock() - start) * 1e3;
    return result;
}

static int carry_out(struct restore *restore, struct error *err)
{
    if (prepare(restore, err) < 0)
        return -1;
    *err = (struct error){0};
    double start = text_clock();
    inherit_pipes(restore);
    int result =
        criu_restore(&restore->criu, restore->saved.dir, restore->inherit, &restore->pid, err);
    close_passed(restore);
    if (result < 0)
        return -1;
    restore->restore_ms = (text_clock() - start) * 1e3;
    if (resume(restore, err) < 0)
        return suggest_retry(restore, err);
    restore->is_resumed = true;
    *err = (struct error){0};
    return periodic_start(&restore->periodic, restore->pid, err);
}

static const char *state_of(const struct restore *restore)
{
    if (restore->is_resumed || !restore->pid)
        return restore->pid ? "running" : "not started";
    return is_first() || !process_lives(restore->pid) ? "gone" : "suspended";
}

static void print_json(const struct restore *restore, int result, const struct error *err)
{
    const struct targets *targets = &restore->group.targets;
    json_t *processes = json_array();
    for (size_t i = 0; i < targets->count; i++)
        json_array_append_new(processes, json_pack("{s:i, s:s}", "pid", (int)targets->list[i].pid,
                                                   "state", targets->list[i].state));
    json_t *failure = result == 0 ? json_null() : answer_failure(err);
    json_t *answer =
        json_pack("[{s:i, s:s, s:s, s:o, s:{s:f, s:f}, s:o}]", "pid", (int)restore->pid, "state",
                  state_of(restore), "directory", restore->saved.dir, "processes", processes, "ms",
                  "restore", restore->restore_ms, "resume", restore->resume_ms, "error", failure);
    json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    putchar('\n');
    json_decref(answer);
    fflush(stdout);
}

/* On standard error, where the program is not to be left alone: its own output is its own. */
static void print_done(const struct restore *restore)
{
    FILE *out = restore->detach ? stdout : stderr;
    fprintf(out, "%d: restored from %s in %.1f ms, resumed in %.1f ms\n", (int)restore->pid,
            restore->saved.dir, restore->restore_ms, restore->resume_ms);
    fflush(out);
}

static volatile sig_atomic_t program;

static void pass_on(int signal)
{
    int saved = errno;
    kill(program, signal);
    errno = saved;
}

/* Until it ends; its exit code, as a shell gives it. */
static int stay_with(pid_t pid)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
    struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    int status = 0;
    program = pid;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return EXIT_REFUSED;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int verb_restore(int argc, char **argv)
{
    struct restore restore = {.saved = {.fd = -1}};
    struct error err = {0};
    restore.criu.more = options_split(&argc, argv);
    options_set_defaults(&restore.options);
    argp_parse(&restore_argp, argc, argv, 0, NULL, &restore);
    int result = carry_out(&restore, &err);
    int code = result == 0 ? EXIT_DONE : EXIT_REFUSED;
    if (result < 0) {
        report_error("restore", &err);
        fprintf(stderr, "  state: %s\n", state_of(&restore));
    }
    if (restore.options.json)
        print_json(&restore, result, &err);
    else if (result == 0)
        print_done(&restore);
    for (size_t i = 0; i < restore.group.targets.count; i++)
        report_say_warnings(&restore.group.targets.list[i]);
    group_finish(&restore.group);
    saved_finish(&restore.saved);
    /* One that is suspended stays so until somebody resumes it, who may be waiting for us. */
    return restore.is_resumed && !restore.detach ? stay_with(restore.pid) : code;
}
