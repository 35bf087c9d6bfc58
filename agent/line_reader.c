/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of JSON out of a stream of bytes: see lines.h. */
#include "agent/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void tell_bad(const struct lines_handler *handler, void *data, int errnum,
                     const char *reason)
{
    struct error err = {0};
    error_object(&err, "line");
    error_set(&err, errnum, "%s", reason);
    error_todo(&err, "send one JSON object per line, of at most %d bytes", (int)LINES_LONGEST);
    handler->on_bad_line(data, &err);
}

/* An empty line is nothing: whoever connects may send one first, to end what was left of an older
 * conversation. */
static bool is_blank(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
            return false;
    return true;
}

static void take_line(const char *text, size_t length, const struct lines_handler *handler,
                      void *data)
{
    struct error err = {0};
    json_error_t why;
    if (is_blank(text, length))
        return;
    json_t *message = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);
    if (json_is_object(message)) {
        handler->on_message(data, message);
    } else if (message) {
        tell_bad(handler, data, 0, "it is JSON, but not an object");
    } else {
        error_object(&err, "line");
        error_set(&err, 0, "it is not JSON: %s (column %d)", why.text, why.column);
        error_todo(&err, "send one JSON object per line");
        handler->on_bad_line(data, &err);
    }
    json_decref(message);
}

/* Keeps a piece of a line; false when there is no room for it. */
static bool keep(struct line_reader *reader, const char *bytes, size_t size)
{
    if (size > reader->room - reader->length) {
        size_t room = reader->room ? reader->room : 4096;
        while (room < reader->length + size)
            room *= 2;
        char *text = realloc(reader->text, room);
        if (!text)
            return false;
        reader->text = text;
        reader->room = room;
    }
    if (size)
        memcpy(reader->text + reader->length, bytes, size);
    reader->length += size;
    return true;
}

static void add_piece(struct line_reader *reader, const char *bytes, size_t size,
                      const struct lines_handler *handler, void *data)
{
    bool is_long = size > LINES_LONGEST - reader->length;
    if (reader->is_skipping)
        return;
    if (!is_long && keep(reader, bytes, size))
        return;
    reader->is_skipping = true;
    reader->length = 0;
    tell_bad(handler, data, is_long ? 0 : ENOMEM,
             is_long ? "it is longer than allowed" : "it can't be kept");
}

void line_reader_feed(struct line_reader *reader, const char *bytes, size_t size,
                      const struct lines_handler *handler, void *data)
{
    while (size) {
        const char *newline = memchr(bytes, '\n', size);
        size_t piece = newline ? (size_t)(newline - bytes) : size;
        add_piece(reader, bytes, piece, handler, data);
        if (!newline)
            return;
        if (!reader->is_skipping)
            take_line(reader->text, reader->length, handler, data);
        reader->is_skipping = false;
        reader->length = 0;
        bytes += piece + 1;
        size -= piece + 1;
    }
}

void line_reader_finish(struct line_reader *reader)
{
    free(reader->text);
    *reader = (struct line_reader){0};
}
