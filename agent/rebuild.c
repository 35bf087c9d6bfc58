/* SPDX-License-Identifier: Apache-2.0 */
/* An image's objects on a device, without its program: see rebuild.h. */
#include "agent/rebuild.h"

#include "agent/client.h"
#include "agent/environment.h"
#include "agent/progress.h"
#include "agent/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_OUTPUT = 64 * 1024 * 1024, PIECE = 65536, TICK_MS = 100, MAX_TEXT = 512 };

struct child {
    char program[PATH_MAX + 32];
    pid_t pid;
    int out;      /* owned: the end of its standard output */
    char *output; /* owned */
    size_t size;
};

static int find_program(struct child *child, struct error *err)
{
    char folder[PATH_MAX];
    if (environment_find_library(folder, err) < 0)
        return -1;
    snprintf(child->program, sizeof child->program, "%s/shadowcl-rebuild", folder);
    if (access(child->program, X_OK) == 0)
        return 0;
    error_object(err, "program `%.100s`", child->program);
    error_set(err, errno, "it can't be run");
    return error_todo(err, "install shadowcl anew, or build the target `all`");
}

/* Ends with us. What its driver says goes to our standard error. */
static void become(const struct child *child, char *const *arguments, int out, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || dup2(out, STDOUT_FILENO) < 0)
        _exit(127);
    execv(child->program, arguments);
    _exit(127);
}

static int start(struct child *child, char *const *arguments, struct error *err)
{
    int ends[2];
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set(err, errno, "start `%s`", child->program);
    fflush(NULL);
    child->pid = fork();
    if (child->pid == 0)
        become(child, arguments, ends[1], parent);
    close(ends[1]);
    child->out = ends[0];
    return child->pid < 0 ? error_set(err, errno, "start `%s`", child->program) : 0;
}

/* 0: at its end; 1: there may be more. */
static int read_some(struct child *child, struct error *err)
{
    if (child->size + PIECE > MAX_OUTPUT)
        return error_set(err, 0, "it says more than %d bytes", (int)MAX_OUTPUT);
    char *output = realloc(child->output, child->size + PIECE + 1);
    if (!output)
        return error_set(err, ENOMEM, "read what it says");
    child->output = output;
    ssize_t count = read(child->out, output + child->size, PIECE);
    if (count < 0)
        return errno == EINTR ? 1 : error_set(err, errno, "read what it says");
    child->size += (size_t)count;
    output[child->size] = 0;
    return count > 0;
}

static int read_all(struct child *child, const char *path, double timeout, struct error *err)
{
    struct progress progress;
    struct pollfd end = {.fd = child->out, .events = POLLIN};
    double until = text_clock() + timeout;
    int result = 1;
    progress_start(&progress, "rebuilding");
    while (result > 0) {
        if (exchange_was_interrupted())
            result = error_set(err, 0, "interrupted");
        else if (text_clock() >= until) {
            error_set(err, 0, "it took longer than %g s", timeout);
            result = error_todo(err, "see whether the driver hangs, or wait longer with --timeout");
        } else if (poll(&end, 1, TICK_MS) > 0)
            result = read_some(child, err);
        progress_tell(&progress, path, -1);
    }
    progress_end(&progress);
    return result;
}

static int wait_for(struct child *child, int result, struct error *err)
{
    int status = 0;
    if (result < 0)
        kill(child->pid, SIGKILL);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (result < 0 || !WIFSIGNALED(status))
        return result;
    error_set(err, 0, "it ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return error_todo(err, "see what the driver says above; SHADOWCL_LOG=info tells more");
}

/* Drivers may print too: ours is the last object that begins a line. */
static json_t *parse(const struct child *child)
{
    for (const char *at = child->output + child->size; at-- > child->output;)
        if (*at == '{' && (at == child->output || at[-1] == '\n')) {
            json_t *json = json_loadb(at, (size_t)(child->output + child->size - at),
                                      JSON_DISABLE_EOF_CHECK, NULL);
            if (json)
                return json;
        }
    return NULL;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* NULL and an error where it says one, or not what it should. */
static json_t *take(json_t *json, struct error *err)
{
    const json_t *failure = json_object_get(json, "error");
    bool is_complete = json_is_array(json_object_get(json, "devices")) &&
                       json_is_array(json_object_get(json, "warnings")) &&
                       json_is_array(json_object_get(json, "missing"));
    if (json_is_object(failure)) {
        error_object(err, "%s", text_of(failure, "object"));
        error_set(err, 0, "%s", text_of(failure, "reason"));
        error_todo(err, "%s", text_of(failure, "todo"));
    } else if (!is_complete) {
        error_set(err, 0, "what it says is not understood");
        error_todo(err, "see what it says above; is it of this version?");
    } else {
        return json;
    }
    json_decref(json);
    return NULL;
}

json_t *rebuild_run(const char *what, const char *path, const char *device, bool strict,
                    double timeout, struct error *err)
{
    struct child child = {.out = -1};
    json_t *json = NULL;
    if (find_program(&child, err) < 0)
        return NULL;
    char *const arguments[] = {
        child.program, (char *)what, (char *)path, (char *)device, strict ? "--strict" : NULL,
        NULL};
    error_object(err, "program `shadowcl-rebuild`");
    int result = start(&child, arguments, err);
    if (result == 0)
        result = wait_for(&child, read_all(&child, path, timeout, err), err);
    if (result == 0)
        json = take(parse(&child), err);
    if (child.out >= 0)
        close(child.out);
    free(child.output);
    return json;
}

static void print_clean(FILE *out, const char *text)
{
    char clean[MAX_TEXT];
    fputs(text_clean(clean, sizeof clean, text), out);
}

static void say_start(const char *verb, const char *subject)
{
    fprintf(stderr, "shadowcl %s: ", verb);
    print_clean(stderr, subject);
    fputs(": ", stderr);
}

void rebuild_say(const char *verb, const char *subject, const json_t *outcome)
{
    const json_t *warnings = json_object_get(outcome, "warnings");
    const json_t *missing = json_object_get(outcome, "missing");
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        const char *text = json_string_value(json_array_get(warnings, i));
        say_start(verb, subject);
        fputs("warning: ", stderr);
        print_clean(stderr, text ? text : "?");
        fputc('\n', stderr);
    }
    for (size_t i = 0; i < json_array_size(missing); i++) {
        const json_t *thing = json_array_get(missing, i);
        say_start(verb, subject);
        print_clean(stderr, text_of(thing, "object"));
        fputs(*text_of(thing, "object") ? ": " : "", stderr);
        print_clean(stderr, text_of(thing, "reason"));
        fputs(*text_of(thing, "todo") ? "\n  to do: " : "", stderr);
        print_clean(stderr, text_of(thing, "todo"));
        fputc('\n', stderr);
    }
}

void rebuild_print_devices(const json_t *outcome)
{
    const json_t *devices = json_object_get(outcome, "devices");
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const json_t *device = json_array_get(devices, i);
        fputs(i ? ", " : " on ", stdout);
        print_clean(stdout, text_of(device, "platform"));
        printf(":%" JSON_INTEGER_FORMAT " (", json_integer_value(json_object_get(device, "index")));
        print_clean(stdout, text_of(device, "name"));
        putchar(')');
    }
}
