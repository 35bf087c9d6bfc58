/* SPDX-License-Identifier: Apache-2.0 */
/* The administrator's own programs: see hooks.h. */
#include "agent/daemon/hooks.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/logbook.h"
#include "agent/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TICK_MS = 50, GRACE_MS = 1000, DYING_MS = 5000, MOST_UNENDED = 16 };

/* Those that could not be ended, to be reaped when they are. One hook runs at a time. */
static pid_t unended[MOST_UNENDED];

/* Whoever else could write it could be root through us. */
static int check_owner(const struct stat *status, struct error *err)
{
    error_todo(err, "make it belong to root, and not writable by others (chmod go-w)");
    if (status->st_uid != 0 && status->st_uid != geteuid())
        return error_set(err, 0, "it belongs to user %u", (unsigned)status->st_uid);
    if (status->st_mode & (S_IWGRP | S_IWOTH))
        return error_set(err, 0, "others may write to it (mode %04o)",
                         (unsigned)status->st_mode & 07777);
    return 0;
}

/* 1: a hook; 0: no hook; -1: one that is not to be trusted. */
static int check_file(int directory, const char *name, struct error *err)
{
    struct stat status;
    size_t length = strlen(name);
    if (name[0] == '.' || name[length - 1] == '~')
        return 0;
    error_object(err, "hook `%s`", name);
    if (fstatat(directory, name, &status, 0) < 0)
        return error_set(err, errno, "can't be looked at");
    if (!S_ISREG(status.st_mode) || !(status.st_mode & 0111))
        return 0;
    return check_owner(&status, err) < 0 ? -1 : 1;
}

static int add(struct hooks *hooks, const char *name, struct error *err)
{
    char **names = realloc(hooks->names, (hooks->count + 1) * sizeof *names);
    char *copy = strdup(name);
    if (names)
        hooks->names = names;
    if (!names || !copy) {
        free(copy);
        return error_set(err, ENOMEM, "can't be remembered");
    }
    hooks->names[hooks->count++] = copy;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(struct hooks *hooks, DIR *stream, struct error *err)
{
    struct stat status;
    struct error why = {0};
    int result = 0;
    error_object(&why, "hooks' directory `%s`", hooks->directory);
    if (fstat(dirfd(stream), &status) < 0)
        result = error_set(&why, errno, "can't be looked at");
    else
        result = check_owner(&status, &why);
    for (struct dirent *entry; result == 0 && (entry = readdir(stream));) {
        int kind = check_file(dirfd(stream), entry->d_name, &why);
        result = kind == 1 ? add(hooks, entry->d_name, &why) : kind;
    }
    if (result < 0)
        *err = why;
    return result;
}

int hooks_find(struct hooks *hooks, const char *directory, struct error *err)
{
    *hooks = (struct hooks){.directory = directory};
    DIR *stream = opendir(directory);
    if (!stream && errno == ENOENT)
        return 0;
    if (!stream) {
        error_object(err, "hooks' directory `%s`", directory);
        error_todo(err, "make it readable, or name another with --hooks");
        return error_set(err, errno, "can't be read");
    }
    int result = list(hooks, stream, err);
    closedir(stream);
    if (result < 0)
        hooks_finish(hooks);
    else if (hooks->count)
        qsort(hooks->names, hooks->count, sizeof *hooks->names, by_name);
    return result;
}

void hooks_finish(struct hooks *hooks)
{
    for (size_t i = 0; i < hooks->count; i++)
        free(hooks->names[i]);
    free(hooks->names);
    hooks->names = NULL;
    hooks->count = 0;
}

json_t *hooks_names(const struct hooks *hooks)
{
    json_t *array = json_array();
    for (size_t i = 0; i < hooks->count; i++)
        json_array_append_new(array, json_string(hooks->names[i]));
    return array;
}

/* A group of its own, so that what it starts can be ended too; our messages' place is its own. */
static int spawn(pid_t *pid, const char *path, const char *verb, const char *devices)
{
    char setting[1100];
    char *argv[] = {(char *)path, (char *)verb, NULL};
    char *environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                           setting, NULL};
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t none, all;
    snprintf(setting, sizeof setting, "SHADOWCL_DEVICES=%s", devices);
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    int errnum = posix_spawn(pid, path, &actions, &attributes, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return errnum;
}

static bool wait_for(int pidfd, double until, struct job *job)
{
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    while (text_clock() < until) {
        if (poll(&ended, 1, TICK_MS) > 0)
            return true;
        if (job && job_is_cancelled(job))
            return false;
    }
    return false;
}

/* Its wait status, once it has ended. A process that sleeps in the kernel does not end for SIGKILL,
 * and one that is traced is its tracer's first. */
static bool reap(pid_t pid, int *status)
{
    double until = text_clock() + DYING_MS / 1e3;
    pid_t result;
    while ((result = waitpid(pid, status, WNOHANG)) == 0 || (result < 0 && errno == EINTR)) {
        if (text_clock() > until)
            return false;
        poll(NULL, 0, TICK_MS);
    }
    return true;
}

static void reap_late(pid_t pid)
{
    for (size_t i = 0; i < MOST_UNENDED; i++)
        if (unended[i] && waitpid(unended[i], NULL, WNOHANG) != 0)
            unended[i] = 0;
    for (size_t i = 0; pid && i < MOST_UNENDED; i++)
        if (!unended[i]) {
            unended[i] = pid;
            return;
        }
}

/* Its end, in time or by force; `job` is NULL where it can't be withdrawn. Returns its wait status;
 * *why is NULL unless it was stopped. */
static int await(pid_t pid, double timeout, struct job *job, const char **why)
{
    int status = 0;
    int pidfd = pidfd_open(pid, 0);
    double until = text_clock() + timeout;
    *why = NULL;
    if (pidfd < 0 || !wait_for(pidfd, until, job)) {
        *why = text_clock() < until ? "it was withdrawn" : "it was still running at its limit";
        kill(-pid, SIGTERM);
        if (pidfd < 0 || !wait_for(pidfd, text_clock() + GRACE_MS / 1e3, NULL))
            kill(-pid, SIGKILL);
    }
    bool has_ended = reap(pid, &status);
    if (*why || !has_ended)
        kill(-pid, SIGKILL); /* what it left behind */
    if (!has_ended) {
        *why = "it can't be ended: it hangs in the kernel, or is traced";
        status = SIGKILL;
    }
    reap_late(has_ended ? 0 : pid);
    if (pidfd >= 0)
        close(pidfd);
    return status;
}

static int exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run_one(const struct hooks *hooks, const char *name, const char *verb, struct job *job,
                   double timeout, json_t *results, struct error *err)
{
    char path[PATH_MAX];
    const char *stopped = NULL;
    pid_t pid;
    double start = text_clock();
    bool may_be_withdrawn = !strcmp(verb, "release");
    snprintf(path, sizeof path, "%s/%s", hooks->directory, name);
    error_object(err, "hook `%s %s`", name, verb);
    int errnum = spawn(&pid, path, verb, job->agent->mark.devices);
    int code = 127;
    if (errnum == 0)
        code = exit_code(await(pid, timeout, may_be_withdrawn ? job : NULL, &stopped));
    double ms = (text_clock() - start) * 1e3;
    json_array_append_new(results,
                          json_pack("{s:s, s:f, s:i}", "name", name, "ms", ms, "exit", code));
    logbook_write("hook %s %s: exit %d, %.0f ms%s%s", name, verb, code, ms, stopped ? ", " : "",
                  stopped ? stopped : "");
    error_todo(err, "see what it says in the agent's log; correct it, or take it out of %s",
               hooks->directory);
    if (errnum)
        return error_set(err, errnum, "it can't be run");
    if (stopped)
        return error_set(err, 0, "%s (%g s)", stopped, timeout);
    return code ? error_set(err, 0, "it ended with exit code %d", code) : 0;
}

/* Those before `count`, in reverse order, whatever they say. */
static void roll_back(const struct hooks *hooks, size_t count, struct job *job, double timeout,
                      json_t *results)
{
    for (size_t i = count; i-- > 0;) {
        struct error err = {0};
        if (run_one(hooks, hooks->names[i], "return", job, timeout, results, &err) < 0)
            logbook_error("going back", &err);
    }
}

int hooks_release(const struct hooks *hooks, struct job *job, double timeout, json_t *results,
                  struct error *err)
{
    for (size_t i = 0; i < hooks->count; i++) {
        struct error why = {0};
        if (run_one(hooks, hooks->names[i], "release", job, timeout, results, &why) == 0 &&
            !job_is_cancelled(job))
            continue;
        roll_back(hooks, i + 1, job, timeout, results);
        *err = why;
        return -1;
    }
    return 0;
}

int hooks_return(const struct hooks *hooks, struct job *job, double timeout, json_t *results,
                 struct error *err)
{
    for (size_t i = hooks->count; i-- > 0;) {
        struct error why = {0};
        if (run_one(hooks, hooks->names[i], "return", job, timeout, results, &why) == 0)
            continue;
        *err = why;
        return -1;
    }
    return 0;
}
