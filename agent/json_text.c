/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON value as indented lines, for people. */
#include "agent/json_text.h"

#include "agent/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP = 2 };

/* One line of a text. */
static void print_clean(const char *line, size_t length)
{
    char *copy = strndup(line, length), *clean = malloc(length + 1);
    for (char *c = copy; c && *c; c++)
        if (*c == '\t')
            *c = ' ';
    if (copy && clean)
        fputs(text_clean(clean, length + 1, copy), stdout);
    free(copy);
    free(clean);
}

static void print_lines(const char *text, int indent)
{
    putchar('\n');
    while (*text) {
        size_t length = strcspn(text, "\n");
        printf("%*s", indent, "");
        print_clean(text, length);
        putchar('\n');
        text += length + (text[length] == '\n');
    }
}

static void print_text(const char *text, int indent)
{
    if (strchr(text, '\n')) {
        print_lines(text, indent + STEP);
        return;
    }
    putchar(' ');
    print_clean(text, strlen(text));
    putchar('\n');
}

static bool is_empty(const json_t *value)
{
    return json_is_null(value) || (json_is_string(value) && !json_string_length(value)) ||
           (json_is_array(value) && !json_array_size(value)) ||
           (json_is_object(value) && !json_object_size(value));
}

static bool is_plain(const json_t *value)
{
    return !json_is_array(value) && !json_is_object(value);
}

static void print_array(const json_t *array, int indent)
{
    char name[24];
    for (size_t i = 0; i < json_array_size(array); i++) {
        snprintf(name, sizeof name, "%zu", i);
        json_text_print(name, json_array_get(array, i), indent + STEP);
    }
}

/* "1 2 3", where all are numbers. */
static bool print_numbers(const json_t *array)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (!json_is_integer(json_array_get(array, i)))
            return false;
    for (size_t i = 0; i < json_array_size(array); i++)
        printf(" %" JSON_INTEGER_FORMAT, json_integer_value(json_array_get(array, i)));
    putchar('\n');
    return true;
}

static void print_plain(const json_t *value, int indent)
{
    if (json_is_string(value))
        print_text(json_string_value(value), indent);
    else if (json_is_integer(value))
        printf(" %" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
    else if (json_is_real(value))
        printf(" %g\n", json_real_value(value));
    else
        puts(json_is_true(value) ? " yes" : " no");
}

void json_text_print(const char *name, const json_t *value, int indent)
{
    const char *key;
    json_t *part;
    if (is_empty(value))
        return;
    printf("%*s%s:", indent, "", name);
    if (is_plain(value)) {
        print_plain(value, indent);
        return;
    }
    if (json_is_array(value) && print_numbers(value))
        return;
    putchar('\n');
    if (json_is_array(value))
        print_array(value, indent);
    else
        json_object_foreach((json_t *)value, key, part) json_text_print(key, part, indent + STEP);
}
