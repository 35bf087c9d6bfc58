/* SPDX-License-Identifier: Apache-2.0 */
/* One end of a conversation in lines of JSON (RFC 8259, one object per line) over a descriptor: a
 * socket, a virtio-serial port, a terminal line. Nothing that the other end sends is trusted: a
 * line too long, too deep or not JSON is told and skipped, and the next one is read as usual. */
#ifndef SHADOWCL_AGENT_LINES_H
#define SHADOWCL_AGENT_LINES_H

#include "shim/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

enum {
    LINES_LONGEST = 1024 * 1024,      /* bytes of a line that is taken */
    LINES_BACKLOG = 16 * 1024 * 1024, /* bytes that the other end may leave unread */
};

struct lines;

struct lines_handler {
    /* `message` is an object; borrowed for the call. */
    void (*on_message)(void *data, json_t *message);
    /* A line that was not taken; the conversation goes on. */
    void (*on_bad_line)(void *data, const struct error *err);
    /* The other end has gone (`err->reason` is empty), or reading or writing failed. Called once,
     * never from within lines_send; lines_close is still to be called. */
    void (*on_end)(void *data, const struct error *err);
};

/* Takes over `fd` (closed by lines_close, and on failure), which must be one that poll knows.
 * The program ignores SIGPIPE. */
int lines_open(struct lines **out, uv_loop_t *loop, int fd, const struct lines_handler *handler,
               void *data, struct error *err);
/* Queues a line; what the other end does not read is kept up to LINES_BACKLOG, then it counts as
 * gone. A message to an end that has gone is dropped. */
void lines_send(struct lines *lines, const json_t *message);
/* True when all that was sent has been written. */
bool lines_is_flushed(const struct lines *lines);
/* Nothing is called afterwards; may be called from a handler. NULL is fine. */
void lines_close(struct lines *lines);

/* The reader without a descriptor: what comes in, in pieces of any size. */
struct line_reader {
    char *text; /* owned; the line so far */
    size_t length, room;
    bool is_skipping; /* behind a line too long */
};

void line_reader_feed(struct line_reader *reader, const char *bytes, size_t size,
                      const struct lines_handler *handler, void *data);
void line_reader_finish(struct line_reader *reader);

#endif
