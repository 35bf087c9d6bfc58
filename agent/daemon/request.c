/* SPDX-License-Identifier: Apache-2.0 */
/* Commands as they come in: see request.h. */
#include "agent/daemon/request.h"

#include "agent/daemon/reply.h"
#include "agent/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 4096, MAX_MAP = 1024 };
static const double most_seconds = 86400;

/* What an argument has to be; the text is for whoever gave another. */
enum kind { ANY, SECONDS, TIMEOUT, FLAG, SPEC, MAP, POLICY, ADDRESS, DEVICES, HEX, LINES };

static const char *const expected[] = {
    "anything",
    "a number of seconds above 0 and up to 86400",
    "a number of seconds from 0 to 86400",
    "true or false",
    "a device: a text of at most 4096 bytes without control characters",
    "an object of at most 1024 devices by process id",
    "\"abort\" or \"force\"",
    "a PCI address like 0000:00:05.0",
    "an array of at most 64 PCI addresses like 0000:00:05.0",
    "four hexadecimal digits",
    "a number from 1 to 1000",
};

struct argument {
    const char *name;
    enum kind kind;
};

enum { MOST_ARGUMENTS = 6 };

static const struct argument arguments[COMMAND_COUNT][MOST_ARGUMENTS + 1] = {
    [COMMAND_PREPARE] = {{"devices", DEVICES},
                         {"check", FLAG},
                         {"device", SPEC},
                         {"deadline", SECONDS}},
    [COMMAND_SUSPEND] = {{"deadline", SECONDS},
                         {"policy", POLICY},
                         {"devices", DEVICES},
                         {"hooks", FLAG},
                         {"prepare", FLAG}},
    [COMMAND_RESUME] = {{"device", SPEC},
                        {"map", MAP},
                        {"strict", FLAG},
                        {"lazy", FLAG},
                        {"hooks", FLAG},
                        {"devices", DEVICES}},
    [COMMAND_CANCEL] = {{"id", ANY}},
    [COMMAND_DEVICE_WAIT] = {{"address", ADDRESS},
                             {"vendor", HEX},
                             {"device", HEX},
                             {"present", FLAG},
                             {"timeout", TIMEOUT}},
    [COMMAND_LOG] = {{"lines", LINES}},
};

#define X(name, text) text,
static const char *const names[] = {COMMANDS(X)};
#undef X

const char *command_name(enum command command)
{
    return names[command];
}

static bool is_spec(const char *text)
{
    size_t length = text ? strlen(text) : MAX_TEXT + 1;
    for (size_t i = 0; i < length && length <= MAX_TEXT; i++)
        if (iscntrl((unsigned char)text[i]))
            return false;
    return length <= MAX_TEXT;
}

static bool is_hex(const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isxdigit((unsigned char)text[i]))
            return false;
    return true;
}

/* Domain (four or more digits), bus, slot, function. */
static bool is_address(const char *text)
{
    const char *colon = text ? strchr(text, ':') : NULL;
    size_t domain = colon ? (size_t)(colon - text) : 0;
    return domain >= 4 && domain <= 8 && strlen(colon) == 8 && is_hex(text, domain) &&
           is_hex(colon + 1, 2) && colon[3] == ':' && is_hex(colon + 4, 2) && colon[6] == '.' &&
           is_hex(colon + 7, 1);
}

static bool are_addresses(const json_t *value)
{
    if (!json_is_array(value) || json_array_size(value) > REQUEST_MOST_DEVICES)
        return false;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!is_address(json_string_value(json_array_get(value, i))))
            return false;
    return true;
}

static bool is_pid(const char *text)
{
    char *end;
    errno = 0;
    long pid = strtol(text, &end, 10);
    return isdigit((unsigned char)text[0]) && !*end && !errno && pid > 0 && pid <= INT32_MAX;
}

static bool is_map(json_t *value)
{
    const char *pid;
    json_t *device;
    if (!json_is_object(value) || json_object_size(value) > MAX_MAP)
        return false;
    json_object_foreach(value, pid, device)
    {
        if (!is_pid(pid) || !is_spec(json_string_value(device)))
            return false;
    }
    return true;
}

static bool is_seconds(const json_t *value, double least)
{
    double seconds = json_number_value(value);
    return json_is_number(value) && isfinite(seconds) && seconds >= least &&
           seconds <= most_seconds;
}

static bool is_hex_text(const json_t *value)
{
    const char *text = json_string_value(value);
    return text && strlen(text) == 4 && is_hex(text, 4);
}

static bool is_policy(const json_t *value)
{
    const char *text = json_string_value(value);
    return text && (!strcmp(text, "abort") || !strcmp(text, "force"));
}

static bool fits(enum kind kind, json_t *value)
{
    switch (kind) {
    case SECONDS:
        return is_seconds(value, 0) && json_number_value(value) > 0;
    case TIMEOUT:
        return is_seconds(value, 0);
    case FLAG:
        return json_is_boolean(value);
    case SPEC:
        return is_spec(json_string_value(value));
    case MAP:
        return is_map(value);
    case POLICY:
        return is_policy(value);
    case ADDRESS:
        return is_address(json_string_value(value));
    case DEVICES:
        return are_addresses(value);
    case HEX:
        return is_hex_text(value);
    case LINES:
        return json_is_integer(value) && json_integer_value(value) >= 1 &&
               json_integer_value(value) <= 1000;
    default:
        return true;
    }
}

static const struct argument *find_argument(enum command command, const char *name)
{
    for (const struct argument *at = arguments[command]; at->name; at++)
        if (!strcmp(at->name, name))
            return at;
    return NULL;
}

static int unknown_member(const char *name, const char *of, struct error *err)
{
    char clean[64];
    error_object(err, "member `%s`", text_clean(clean, sizeof clean, name));
    error_set(err, 0, "%s has no such member", of);
    return error_todo(err, "leave it out; see docs/protocol.md");
}

static int check_arguments(enum command command, json_t *given, struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach(given, name, value)
    {
        const struct argument *argument = find_argument(command, name);
        if (!argument)
            return unknown_member(name, names[command], err);
        if (!fits(argument->kind, value)) {
            error_object(err, "argument `%s`", name);
            error_set(err, 0, "it is not %s", expected[argument->kind]);
            return error_todo(err, "give %s", expected[argument->kind]);
        }
    }
    return 0;
}

static int check_members(json_t *message, struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach(message, name, value)
    {
        if (strcmp(name, "execute") && strcmp(name, "arguments") && strcmp(name, "id"))
            return unknown_member(name, "a command", err);
    }
    return 0;
}

static int find_command(struct request *out, const json_t *message, const char **class,
                        struct error *err)
{
    char clean[64];
    const char *name = json_string_value(json_object_get(message, "execute"));
    if (!name) {
        error_object(err, "member `execute`");
        error_set(err, 0, "it is missing, or no text");
        return error_todo(err, "name a command; see docs/protocol.md");
    }
    for (int i = 0; i < COMMAND_COUNT; i++)
        if (!strcmp(name, names[i])) {
            out->command = (enum command)i;
            return 0;
        }
    *class = REPLY_UNKNOWN;
    error_object(err, "command `%s`", text_clean(clean, sizeof clean, name));
    error_set(err, 0, "there is no such command");
    return error_todo(err, "ask `capabilities` for those there are");
}

static int take_id(struct request *out, struct error *err)
{
    if (!out->id)
        return 0;
    out->key = json_dumps(out->id, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    if (out->key && strlen(out->key) <= REQUEST_LONGEST_ID)
        return 0;
    error_object(err, "member `id`");
    error_set(err, 0, "it is longer than %d bytes", (int)REQUEST_LONGEST_ID);
    return error_todo(err, "give a UUID");
}

static int take_arguments(struct request *out, const json_t *message, struct error *err)
{
    json_t *given = json_object_get(message, "arguments");
    if (given && !json_is_object(given)) {
        error_object(err, "member `arguments`");
        error_set(err, 0, "it is no object");
        return error_todo(err, "give an object, or leave it out");
    }
    out->arguments = given ? json_incref(given) : json_object();
    if (check_arguments(out->command, out->arguments, err) < 0)
        return -1;
    json_t *both = json_pack("[s, O]", names[out->command], out->arguments);
    out->text = json_dumps(both, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(both);
    return out->text ? 0 : error_set(err, ENOMEM, "the command can't be kept");
}

int request_read(struct request *out, json_t *message, const char **class, struct error *err)
{
    *out = (struct request){.id = json_object_get(message, "id")};
    *class = REPLY_BAD_ARGUMENT;
    if (check_members(message, err) == 0 && find_command(out, message, class, err) == 0 &&
        take_id(out, err) == 0 && take_arguments(out, message, err) == 0)
        return 0;
    request_finish(out);
    return -1;
}

void request_finish(struct request *request)
{
    json_decref(request->arguments);
    free(request->key);
    free(request->text);
    request->arguments = NULL;
    request->key = request->text = NULL;
}

double request_number(const json_t *given, const char *name, double otherwise)
{
    const json_t *value = json_object_get(given, name);
    return value ? json_number_value(value) : otherwise;
}

bool request_flag(const json_t *given, const char *name, bool otherwise)
{
    const json_t *value = json_object_get(given, name);
    return value ? json_is_true(value) : otherwise;
}

const char *request_text(const json_t *given, const char *name, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(given, name));
    return text ? text : otherwise;
}

void request_devices(const json_t *given, char *out, size_t size)
{
    const json_t *list = json_object_get(given, "devices");
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < json_array_size(list) && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? " " : "",
                                 json_string_value(json_array_get(list, i)));
}

bool request_wants_no_device(const json_t *given)
{
    const json_t *list = json_object_get(given, "devices");
    return list && json_array_size(list) == 0;
}
