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

#define LOOK_MS 1000 /* how often it looks whether it is a copy, or the pipe is gone */

/* What both ends would send if anybody asked them to: a signal that no program can use, since the C
 * library keeps it to itself. CRIU copies that, so that the pipe is known as ours in a copy too. */
#define MARK 33

static int ends[2] = {-1, -1}; /* read, write */
static ino_t pipe_number; /* the kernel gives each a number of its own, and CRIU makes new ones */

static ino_t number_now(void)
{
    struct stat now;
    return fstat(ends[0], &now) == 0 ? now.st_ino : 0;
}

/* A program may close what it does not know; the number is somebody else's then. */
static bool is_ours(int fd)
{
    struct stat status;
    return fd >= 0 && fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) &&
           fcntl(fd, F_GETSIG) == MARK;
}

int wake_prepare(struct error *err)
{
    if (is_ours(ends[0]) && is_ours(ends[1]))
        return 0;
    wake_finish();
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 && fcntl(ends[0], F_SETSIG, MARK) == 0 &&
        fcntl(ends[1], F_SETSIG, MARK) == 0) {
        pipe_number = number_now();
        return 0;
    }
    error_set(err, errno, "make the pipe at which it waits for its resume");
    return error_todo(err, "raise the limit of open files (ulimit -n)");
}

void wake_finish(void)
{
    for (unsigned i = 0; i < 2; i++) {
        if (is_ours(ends[i]))
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
        if (!is_ours(ends[0]) || !is_ours(ends[1])) {
            log_warn("the program has closed the pipe at which this process waits");
            return; /* there is nothing to wait at */
        }
        if (ready > 0 && read_call(call))
            return;
        if (ready == 0 && number_now() != pipe_number) {
            pipe_number = number_now(); /* once is enough */
            return;
        }
    }
}
