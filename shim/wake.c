/* SPDX-License-Identifier: Apache-2.0 */
/* The pipe at which a process without a socket waits: see wake.h. */
#include "shim/wake.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/log.h"

#define LOOK_MS 1000 /* how often it looks whether it is a copy */

static int ends[2] = {-1, -1}; /* read, write */
static ino_t pipe_number; /* the kernel gives each a number of its own, and CRIU makes new ones */

static ino_t number_now(void)
{
    struct stat now;
    return fstat(ends[0], &now) == 0 ? now.st_ino : 0;
}

int wake_prepare(struct error *err)
{
    if (ends[0] >= 0)
        return 0;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) {
        pipe_number = number_now();
        return 0;
    }
    error_set(err, errno, "make the pipe at which it waits for its resume");
    return error_todo(err, "raise the limit of open files (ulimit -n)");
}

void wake_finish(void)
{
    for (unsigned i = 0; i < 2; i++) {
        if (ends[i] >= 0)
            close(ends[i]);
        ends[i] = -1;
    }
}

void wake_forked(void)
{
    wake_finish();
}

/* The end of the first line, which is cut off there; NULL when the message is not whole. */
static char *cut_line(char *text)
{
    char *end = strchr(text, '\n');
    if (end)
        *end = 0;
    return end;
}

static bool parse(char *text, struct wake_call *call)
{
    static const char resume[] = "resume ";
    char *end = cut_line(text);
    if (!end || !cut_line(end + 1))
        return false;
    call->resume = strncmp(text, resume, sizeof resume - 1) == 0;
    if (!call->resume && strcmp(text, "listen") != 0)
        return false;
    snprintf(call->device, sizeof call->device, "%s", call->resume ? text + sizeof resume - 1 : "");
    snprintf(call->directory, sizeof call->directory, "%s", end + 1);
    return true;
}

static bool read_call(struct wake_call *call)
{
    char text[WAKE_ROOM + 1]; /* a write of so much to a pipe is one piece */
    ssize_t size = read(ends[0], text, WAKE_ROOM);
    if (size <= 0)
        return false;
    text[size] = 0;
    if (parse(text, call))
        return true;
    log_warn("control: a message that is not understood came by the pipe");
    return false;
}

void wake_stand_by(void)
{
    char name[16];
    snprintf(name, sizeof name, WAKE_THREAD "-%d", ends[1]);
    prctl(PR_SET_NAME, name, 0, 0, 0);
}

void wake_wait(struct wake_call *call)
{
    *call = (struct wake_call){0};
    for (;;) {
        struct pollfd wait = {.fd = ends[0], .events = POLLIN};
        int ready = poll(&wait, 1, LOOK_MS);
        if (ready > 0 && (wait.revents & POLLNVAL))
            return; /* the program closed what is not its own: there is nothing to wait at */
        if (ready > 0 && read_call(call))
            return;
        if (ready == 0 && number_now() != pipe_number) {
            pipe_number = number_now(); /* once is enough */
            return;
        }
    }
}
