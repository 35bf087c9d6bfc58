/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to commands. The classes of errors are those of docs/protocol.md. */
#ifndef SHADOWCL_DAEMON_REPLY_H
#define SHADOWCL_DAEMON_REPLY_H

#include "shim/error.h"

#include <jansson.h>

#define REPLY_BAD_LINE "BadLine"
#define REPLY_UNKNOWN "UnknownCommand"
#define REPLY_BAD_ARGUMENT "BadArgument"
#define REPLY_BUSY "Busy"
#define REPLY_REFUSED "Refused"
#define REPLY_FAILED "Failed"
#define REPLY_TIMEOUT "Timeout"
#define REPLY_CANCELLED "Cancelled"
#define REPLY_INTERNAL "Internal"

/* {"return": value}; takes `value`. */
json_t *reply_return(json_t *value);
/* {"error": ...}; takes `data`, which may be NULL. */
json_t *reply_error(const char *class, const struct error *err, json_t *data);
/* The same with `id`, which may be NULL; the caller's. */
json_t *reply_with_id(const json_t *reply, json_t *id);

/* Cuts the lists and texts of a message that is too long for a line; it says so with `cut`. What is
 * in it is changed in place. */
void reply_fit(json_t *message);

#endif
