/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl diff`: in what two images differ: objects that came, went and changed, and which bytes
 * of their contents. */
#include "agent/answer.h"
#include "agent/image_diff.h"
#include "agent/image_line.h"
#include "agent/options.h"
#include "agent/text.h"
#include "agent/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_TEXT = 256, SOME_RANGES = 8, SOME_FIELDS = 32 };

static const struct argp_option diff_options[] = {OPTIONS_JSON, {0}};

static const struct argp diff_argp = {
    diff_options,
    options_parse_one,
    "A B",
    "Compare two image files: which objects came, went and changed, and in which bytes their "
    "contents differ. Objects are the same where their numbers and kinds are: as in images of one "
    "process."
    "\v"
    "When the images were made, and of which process, does not count.\n\n"
    "Exit codes: 0 they hold the same; 1 they differ, or one can't be read: the message, or with "
    "--json the field `error', says which; 2 wrong usage.",
    NULL,
    NULL,
    NULL};

struct both {
    struct loaded a, b;
    json_t *differences; /* owned; NULL: could not be told */
    struct error error;
};

static size_t count_of(const struct both *both, const char *what)
{
    return json_array_size(json_object_get(both->differences, what));
}

static bool differ(const struct both *both)
{
    return count_of(both, "came") || count_of(both, "went") || count_of(both, "changed");
}

static uint64_t serial_of(const json_t *element)
{
    return (uint64_t)json_integer_value(json_object_get(element, "serial"));
}

static void print_list(const struct both *both, const char *what, const struct loaded *image,
                       const char *mark)
{
    const json_t *list = json_object_get(both->differences, what);
    for (size_t i = 0; i < json_array_size(list); i++) {
        fputs(mark, stdout);
        image_line_print(image, loaded_find(image, serial_of(json_array_get(list, i))), 2);
    }
}

static void print_value(const json_t *value)
{
    char clean[MAX_TEXT];
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    fputs(text ? text_clean(clean, sizeof clean, text) : "?", stdout);
    free(text);
}

static void print_fields(const json_t *fields)
{
    size_t count = json_array_size(fields);
    for (size_t i = 0; i < count && i < SOME_FIELDS; i++) {
        const json_t *field = json_array_get(fields, i);
        printf("    %s: ", json_string_value(json_object_get(field, "field")));
        print_value(json_object_get(field, "a"));
        fputs(" -> ", stdout);
        print_value(json_object_get(field, "b"));
        putchar('\n');
    }
    if (count > SOME_FIELDS)
        printf("    and %zu more fields\n", count - SOME_FIELDS);
}

static void print_ranges(const json_t *contents)
{
    const json_t *ranges = json_object_get(contents, "ranges");
    json_int_t count = json_integer_value(json_object_get(contents, "num_ranges"));
    size_t shown = json_array_size(ranges) < SOME_RANGES ? json_array_size(ranges) : SOME_RANGES;
    for (size_t i = 0; i < shown; i++) {
        const json_t *range = json_array_get(ranges, i);
        json_int_t offset = json_integer_value(json_array_get(range, 0));
        json_int_t size = json_integer_value(json_array_get(range, 1));
        printf("%s%" JSON_INTEGER_FORMAT, i ? ", " : ": ", offset);
        if (size > 1)
            printf("-%" JSON_INTEGER_FORMAT, offset + size - 1);
    }
    if (count > (json_int_t)shown)
        printf(", and %" JSON_INTEGER_FORMAT " more", count - (json_int_t)shown);
}

static void print_contents(const json_t *contents)
{
    const json_t *a = json_object_get(contents, "size_a"), *b = json_object_get(contents, "size_b");
    json_int_t bytes = json_integer_value(json_object_get(contents, "bytes"));
    json_int_t count = json_integer_value(json_object_get(contents, "num_ranges"));
    if (json_is_null(contents))
        return;
    fputs("    contents: ", stdout);
    if (!json_equal(a, b)) {
        print_value(a);
        fputs(" -> ", stdout);
        print_value(b);
        fputs(" bytes", stdout);
    }
    if (bytes)
        printf("%s%" JSON_INTEGER_FORMAT " byte%s differ%s, in %" JSON_INTEGER_FORMAT " range%s",
               json_equal(a, b) ? "" : "; ", bytes, bytes == 1 ? "" : "s", bytes == 1 ? "s" : "",
               count, count == 1 ? "" : "s");
    print_ranges(contents);
    putchar('\n');
}

static void print_text(const struct both *both)
{
    char a[MAX_TEXT], b[MAX_TEXT], name[64];
    text_clean(a, sizeof a, both->a.path);
    text_clean(b, sizeof b, both->b.path);
    if (!differ(both)) {
        printf("%s and %s hold the same: %zu objects\n", a, b, both->a.count);
        return;
    }
    printf("%s and %s differ: %zu came, %zu went, %zu changed\n", a, b, count_of(both, "came"),
           count_of(both, "went"), count_of(both, "changed"));
    print_list(both, "went", &both->a, "- ");
    print_list(both, "came", &both->b, "+ ");
    const json_t *list = json_object_get(both->differences, "changed");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *element = json_array_get(list, i);
        const image_object *object = loaded_find(&both->b, serial_of(element));
        printf("~ %s\n", image_line_name(object, name, sizeof name));
        print_fields(json_object_get(element, "fields"));
        print_contents(json_object_get(element, "contents"));
    }
}

static json_t *part(const struct both *both, const char *name)
{
    json_t *list = json_object_get(both->differences, name);
    return list ? json_incref(list) : json_array();
}

static int print_json(const struct both *both)
{
    bool failed = !both->differences;
    json_t *element = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "a", answer_string(both->a.path), "b",
        answer_string(both->b.path), "same", failed ? json_null() : json_boolean(!differ(both)),
        "came", part(both, "came"), "went", part(both, "went"), "changed", part(both, "changed"),
        "error", failed ? answer_failure(&both->error) : json_null());
    return answer_print(json_pack("[o]", element));
}

static void compare(struct both *both)
{
    struct loaded *a = &both->a, *b = &both->b;
    if (loaded_open(a, a->path, &both->error) == 0 && loaded_open(b, b->path, &both->error) == 0 &&
        loaded_read_objects(a, &both->error) == 0 && loaded_read_objects(b, &both->error) == 0)
        both->differences = image_diff(a, b, &both->error);
}

int verb_diff(int argc, char **argv)
{
    struct options options = {.takes_no_pids = true, .takes_files = 2};
    options_parse(&options, &diff_argp, argc, argv);
    struct both both = {.a = {.path = options.files[0], .fd = -1},
                        .b = {.path = options.files[1], .fd = -1}};
    compare(&both);
    int code = both.differences && !differ(&both) ? EXIT_DONE : EXIT_REFUSED;
    if (!both.differences)
        report_error("diff", &both.error);
    else if (!options.json)
        print_text(&both);
    if (options.json && print_json(&both) < 0)
        code = EXIT_REFUSED;
    if (fflush(stdout) != 0)
        code = EXIT_REFUSED;
    loaded_close(&both.a);
    loaded_close(&both.b);
    json_decref(both.differences);
    return code;
}
