/* SPDX-License-Identifier: Apache-2.0 */
/* What a host may send to the agent: the line reader, in pieces, then the commands and their
 * arguments, then the error's answer. The first byte of the input says how large the pieces are. */
#include "agent/daemon/reply.h"
#include "agent/daemon/request.h"
#include "agent/lines.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the host would read; it must always be one line. */
static void say(json_t *reply, json_t *id)
{
    json_t *whole = reply_with_id(reply, id);
    char *text = json_dumps(whole, JSON_COMPACT);
    if (!text || strchr(text, '\n'))
        abort();
    free(text);
    json_decref(whole);
    json_decref(reply);
}

/* All that the commands read of checked arguments. */
static void use(const struct request *request)
{
    char devices[1024];
    double number = request_number(request->arguments, "deadline", 10) +
                    request_number(request->arguments, "timeout", 30) +
                    request_number(request->arguments, "lines", 100);
    request_devices(request->arguments, devices, sizeof devices);
    if (number < 0 || strlen(devices) >= sizeof devices ||
        !request_text(request->arguments, "policy", "abort") ||
        strpbrk(request_text(request->arguments, "device", ""), "\n\r\t"))
        abort();
    request_flag(request->arguments, "hooks", true);
}

static void on_message(void *data, json_t *message)
{
    struct request request;
    struct error err = {0};
    const char *class;
    if (request_read(&request, message, &class, &err) < 0) {
        if (!err.reason[0])
            abort();
        say(reply_error(class, &err, NULL), request.id);
        return;
    }
    if (request.command >= COMMAND_COUNT || !request.text || (request.id && !request.key))
        abort();
    use(&request);
    request_finish(&request);
}

static void on_bad_line(void *data, const struct error *err)
{
    say(reply_error(REPLY_BAD_LINE, err, NULL), NULL);
}

static const struct lines_handler handler = {on_message, on_bad_line, NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct line_reader reader = {0};
    size_t piece = size ? (size_t)data[0] + 1 : 1;
    for (size_t at = 1; at < size; at += piece)
        line_reader_feed(&reader, (const char *)data + at, size - at < piece ? size - at : piece,
                         &handler, NULL);
    line_reader_feed(&reader, "\n", 1, &handler, NULL);
    line_reader_finish(&reader);
    return 0;
}
