/* SPDX-License-Identifier: Apache-2.0 */
/* Conversations in lines of JSON on an event loop: see lines.h. */
#include "agent/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 64 * 1024 };

struct lines {
    uv_poll_t poll;
    uv_timer_t
        soon; /* tells of a failed send, on the next turn: the other end may never be ready */
    int open_handles;
    int fd;
    const struct lines_handler *handler;
    void *data;
    struct line_reader reader;
    char *unsent; /* owned */
    size_t unsent_size;
    struct error failure; /* of a send, told on the next turn */
    bool has_failed, has_ended, is_closed;
    int users; /* our own calls on the stack: the last one closes */
};

static void on_ready(uv_poll_t *poll, int status, int events);
static void on_soon(uv_timer_t *timer);

static void on_closed(uv_handle_t *handle)
{
    struct lines *lines = handle->data;
    if (--lines->open_handles > 0)
        return;
    line_reader_finish(&lines->reader);
    free(lines->unsent);
    close(lines->fd);
    free(lines);
}

static void close_handles(struct lines *lines)
{
    uv_close((uv_handle_t *)&lines->poll, on_closed);
    uv_close((uv_handle_t *)&lines->soon, on_closed);
}

/* The end of one of our own calls. */
static void leave(struct lines *lines)
{
    if (--lines->users == 0 && lines->is_closed)
        close_handles(lines);
}

static void watch(struct lines *lines)
{
    int events = UV_READABLE;
    if (lines->unsent_size)
        events |= UV_WRITABLE;
    if (!lines->is_closed && !lines->has_ended)
        uv_poll_start(&lines->poll, events, on_ready);
}

static void end(struct lines *lines, const struct error *err)
{
    if (lines->has_ended || lines->is_closed)
        return;
    lines->has_ended = true;
    uv_poll_stop(&lines->poll);
    lines->handler->on_end(lines->data, err);
}

static void fail(struct lines *lines, int errnum, const char *what)
{
    struct error err = {0};
    error_object(&err, "connection");
    error_set(&err, errnum, "%s", what);
    error_todo(&err, "connect again");
    end(lines, &err);
}

/* A conversation is closed by its handler at any message: what follows in the piece is dropped. */
static void on_message(void *data, json_t *message)
{
    struct lines *lines = data;
    if (!lines->is_closed && !lines->has_ended)
        lines->handler->on_message(lines->data, message);
}

static void on_bad_line(void *data, const struct error *err)
{
    struct lines *lines = data;
    if (!lines->is_closed && !lines->has_ended)
        lines->handler->on_bad_line(lines->data, err);
}

static const struct lines_handler guarded = {on_message, on_bad_line, NULL};

static void receive(struct lines *lines)
{
    char piece[PIECE];
    ssize_t count = read(lines->fd, piece, sizeof piece);
    if (count > 0)
        line_reader_feed(&lines->reader, piece, (size_t)count, &guarded, lines);
    else if (count == 0)
        end(lines, &(struct error){0});
    else if (errno != EAGAIN && errno != EINTR)
        fail(lines, errno, "reading failed");
}

/* What can be written now; -1 and errno when the other end has gone. */
static int flush(struct lines *lines)
{
    size_t done = 0;
    int errnum = 0;
    while (done < lines->unsent_size && !errnum) {
        ssize_t count = write(lines->fd, lines->unsent + done, lines->unsent_size - done);
        if (count >= 0)
            done += (size_t)count;
        else if (errno != EINTR)
            errnum = errno;
    }
    if (done)
        memmove(lines->unsent, lines->unsent + done, lines->unsent_size - done);
    lines->unsent_size -= done;
    errno = errnum;
    return errnum && errnum != EAGAIN ? -1 : 0;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct lines *lines = poll->data;
    lines->users++;
    if (status < 0)
        fail(lines, -status, "waiting for it failed");
    if ((events & UV_WRITABLE) && !lines->has_ended && flush(lines) < 0)
        fail(lines, errno, "writing failed");
    if ((events & UV_READABLE) && !lines->has_ended && !lines->is_closed)
        receive(lines);
    watch(lines);
    leave(lines);
}

static void on_soon(uv_timer_t *timer)
{
    struct lines *lines = timer->data;
    lines->users++;
    end(lines, &lines->failure);
    leave(lines);
}

int lines_open(struct lines **out, uv_loop_t *loop, int fd, const struct lines_handler *handler,
               void *data, struct error *err)
{
    struct lines *lines = calloc(1, sizeof *lines);
    int flags = fcntl(fd, F_GETFL);
    int status = lines ? 0 : UV_ENOMEM;
    if (lines && (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
        status = -errno;
    if (status == 0)
        status = uv_poll_init(loop, &lines->poll, fd);
    if (status < 0) {
        free(lines);
        close(fd);
        return error_set(err, -status, "the connection can't be watched");
    }
    lines->fd = fd;
    lines->handler = handler;
    lines->data = data;
    uv_timer_init(loop, &lines->soon);
    lines->open_handles = 2;
    lines->poll.data = lines->soon.data = lines;
    watch(lines);
    *out = lines;
    return 0;
}

/* Told on the next turn of the loop: the sender may be in the middle of something. */
static void fail_later(struct lines *lines, int errnum, const char *what)
{
    error_object(&lines->failure, "connection");
    error_set(&lines->failure, errnum, "%s", what);
    lines->has_failed = true;
    lines->unsent_size = 0;
    uv_timer_start(&lines->soon, on_soon, 0, 0);
}

static int append(struct lines *lines, const char *text, size_t length)
{
    if (length + 1 > LINES_BACKLOG - lines->unsent_size) {
        errno = ENOBUFS;
        return -1;
    }
    char *unsent = realloc(lines->unsent, lines->unsent_size + length + 1);
    if (!unsent)
        return -1;
    lines->unsent = unsent;
    memcpy(unsent + lines->unsent_size, text, length);
    unsent[lines->unsent_size + length] = '\n';
    lines->unsent_size += length + 1;
    return 0;
}

void lines_send(struct lines *lines, const json_t *message)
{
    if (lines->has_ended || lines->has_failed || lines->is_closed)
        return;
    char *text = json_dumps(message, JSON_COMPACT);
    if (!text || append(lines, text, strlen(text)) < 0)
        fail_later(lines, text ? errno : ENOMEM, "a message could not be queued");
    else if (flush(lines) < 0)
        fail_later(lines, errno, "writing failed");
    free(text);
    watch(lines);
}

bool lines_is_flushed(const struct lines *lines)
{
    return lines->unsent_size == 0;
}

void lines_close(struct lines *lines)
{
    if (!lines || lines->is_closed)
        return;
    lines->is_closed = true;
    uv_poll_stop(&lines->poll);
    if (lines->users == 0)
        close_handles(lines);
}
