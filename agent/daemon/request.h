/* SPDX-License-Identifier: Apache-2.0 */
/* Commands as they come in: which one, and whether its arguments are what they should be. Nothing
 * here knows of the agent, so that it can be fed with anything. */
#ifndef SHADOWCL_DAEMON_REQUEST_H
#define SHADOWCL_DAEMON_REQUEST_H

#include "shim/error.h"

#include <jansson.h>
#include <stdbool.h>

#define COMMANDS(X)                                                                                \
    X(PING, "ping")                                                                                \
    X(CAPABILITIES, "capabilities")                                                                \
    X(STATUS, "status")                                                                            \
    X(PREPARE, "prepare")                                                                          \
    X(SUSPEND, "suspend")                                                                          \
    X(RESUME, "resume")                                                                            \
    X(CANCEL, "cancel")                                                                            \
    X(DEVICE_WAIT, "device-wait")                                                                  \
    X(LOG, "log")

#define X(name, text) COMMAND_##name,
enum command { COMMANDS(X) COMMAND_COUNT };
#undef X

enum { REQUEST_LONGEST_ID = 256, REQUEST_MOST_DEVICES = 64 };

struct request {
    enum command command;
    json_t *arguments; /* owned; an object, checked */
    json_t *id;        /* borrowed from the message; NULL where there is none */
    char *key;         /* owned; `id` as text, NULL where there is none */
    char *text;        /* owned; command and arguments as text: the same request gives the same */
};

const char *command_name(enum command command);
/* On failure `class` is that of the error; `id` is set whenever the message has one. */
int request_read(struct request *out, json_t *message, const char **class, struct error *err);
void request_finish(struct request *request);

/* Arguments that have been checked, or the default. */
double request_number(const json_t *arguments, const char *name, double otherwise);
bool request_flag(const json_t *arguments, const char *name, bool otherwise);
const char *request_text(const json_t *arguments, const char *name, const char *otherwise);
/* The elements of `devices`, with blanks between them. */
void request_devices(const json_t *arguments, char *out, size_t size);
/* Is no device to be free afterwards, not even by default? */
bool request_wants_no_device(const json_t *arguments);

#endif
