/* SPDX-License-Identifier: Apache-2.0 */
/* A device's options as people write them: `driver=vfio-pci,host=0000:01:00.0,id=gpu0`. */
#include "agent/vm/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Up to the next single comma; `,,` is one comma of the value. Returns where it ended. */
static const char *read_value(const char *text, char *out)
{
    while (*text && (text[0] != ',' || text[1] == ',')) {
        if (*text == ',')
            text++;
        *out++ = *text++;
    }
    *out = 0;
    return text;
}

static int parse_pairs(const char *text, json_t *options, char *value, struct error *err)
{
    while (*text) {
        size_t length = strcspn(text, "=,");
        char name[64];
        if (length == 0 || length >= sizeof name || text[length] != '=')
            return error_set(err, 0, "`%s` does not begin with OPTION=VALUE", text);
        snprintf(name, sizeof name, "%.*s", (int)length, text);
        text = read_value(text + length + 1, value);
        if (json_object_get(options, name))
            return error_set(err, 0, "`%s` is there twice", name);
        if (json_object_set_new(options, name, json_string(value)) < 0)
            return error_set(err, 0, "`%s` has a value that is not UTF-8", name);
        text += *text == ',';
    }
    return 0;
}

static json_t *parse(const char *text, struct error *err)
{
    json_error_t why;
    if (*text == '{') {
        json_t *options = json_loads(text, JSON_REJECT_DUPLICATES, &why);
        if (!options)
            error_set(err, 0, "it begins with { and is not JSON: %s", why.text);
        return options;
    }
    json_t *options = json_object();
    char *value = malloc(strlen(text) + 1);
    int result = value ? parse_pairs(text, options, value, err) : error_set(err, 0, "no memory");
    free(value);
    if (result == 0)
        return options;
    json_decref(options);
    return NULL;
}

int device_parse(const char *text, json_t **out, struct error *err)
{
    error_object(err, "device `%.100s`", text);
    error_todo(err, "write it as for QEMU's -device: driver=NAME,option=value,...");
    json_t *options = parse(text, err);
    if (!options)
        return -1;
    if (!json_is_string(json_object_get(options, "driver"))) {
        json_decref(options);
        return error_set(err, 0, "`driver=` is missing");
    }
    *out = options;
    return 0;
}

static void print_value(FILE *out, const json_t *value)
{
    if (json_is_boolean(value))
        fputs(json_is_true(value) ? "on" : "off", out);
    else if (json_is_integer(value))
        fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    for (const char *text = json_string_value(value); text && *text; text++)
        fprintf(out, *text == ',' ? ",," : "%c", *text);
}

char *device_text(const json_t *options)
{
    char *text = NULL;
    size_t size = 0;
    const char *name;
    json_t *value;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs("driver=", out);
    print_value(out, json_object_get(options, "driver"));
    json_object_foreach((json_t *)options, name, value)
    {
        if (!strcmp(name, "driver"))
            continue;
        fprintf(out, ",%s=", name);
        print_value(out, value);
    }
    return fclose(out) == 0 ? text : NULL;
}
