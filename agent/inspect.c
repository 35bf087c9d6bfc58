/* SPDX-License-Identifier: Apache-2.0 */
/* `shadowcl inspect`: what is in an image file. Only what is shown is read, and only that is
 * checked. */
#include "agent/answer.h"
#include "agent/image_json.h"
#include "agent/image_line.h"
#include "agent/image_tree.h"
#include "agent/json_text.h"
#include "agent/options.h"
#include "agent/text.h"
#include "agent/verbs.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { OPTION_OBJECT = 'o', OPTION_DUMP = 'D', MAX_TEXT = 256 };

struct inspect {
    struct options options; /* the first: options_parse_one fills it in */
    bool one, dump;
    uint64_t serial; /* of either */
    struct loaded image;
    struct error error;
};

static const struct argp_option inspect_options[] = {
    {"object", OPTION_OBJECT, "SERIAL", 0,
     "Print all that is known of this object; of a program the origin has the source", 0},
    {"dump", OPTION_DUMP, "SERIAL", 0, "Write the contents of this object to standard output", 0},
    OPTIONS_JSON,
    {0}};

static uint64_t parse_serial(const char *text, struct argp_state *state)
{
    char *end;
    errno = 0;
    uint64_t serial = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end || errno)
        argp_error(state, "`%s` is not an object's number; `shadowcl inspect FILE` lists them",
                   text);
    return serial;
}

static error_t parse_one(int key, char *text, struct argp_state *state)
{
    struct inspect *inspect = state->input;
    switch (key) {
    case OPTION_OBJECT:
    case OPTION_DUMP:
        if (inspect->one || inspect->dump)
            argp_error(state, "one --object or --dump at a time");
        inspect->one = key == OPTION_OBJECT;
        inspect->dump = key == OPTION_DUMP;
        inspect->serial = parse_serial(text, state);
        return 0;
    case ARGP_KEY_END:
        if (inspect->dump && inspect->options.json)
            argp_error(state, "contents are not written as JSON: either --dump or --json");
        return options_parse_one(key, text, state);
    default:
        return options_parse_one(key, text, state);
    }
}

static const struct argp inspect_argp = {
    inspect_options,
    parse_one,
    "FILE",
    "Print what is in an image file, as `shadowcl save' or `suspend --image' have written it: its "
    "objects as a tree. What is not shown is not read; `shadowcl verify' reads all of it."
    "\v"
    "Exit codes: 0 done; 1 it can't be read, the message says where and why; 2 wrong usage.",
    NULL,
    NULL,
    NULL};

static int no_such_object(struct inspect *inspect, const char *reason)
{
    error_object(&inspect->error, "file `%.90s`, object %" PRIu64, inspect->image.path,
                 inspect->serial);
    error_set(&inspect->error, 0, "%s", reason);
    return error_todo(&inspect->error, "see `shadowcl inspect FILE` for those that there are");
}

static int write_all(const char *bytes, size_t size, struct error *err)
{
    while (size) {
        ssize_t count = write(STDOUT_FILENO, bytes, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            error_object(err, "standard output");
            error_set(err, errno, "the contents could not be written");
            return error_todo(err, "see whether there is room, and who reads them");
        }
        bytes += count;
        size -= (size_t)count;
    }
    return 0;
}

static int dump_chunks(struct inspect *inspect, const struct image_contents *contents, char *buffer)
{
    for (size_t i = 0; i < contents->num_chunks; i++) {
        if (image_reader_chunk(inspect->image.reader, contents, i, buffer, &inspect->error) < 0)
            return loaded_name(&inspect->image, &inspect->error);
        if (write_all(buffer, image_chunk_size(contents, i), &inspect->error) < 0)
            return -1;
    }
    return 0;
}

static int dump(struct inspect *inspect)
{
    const struct image_contents *contents =
        image_reader_contents(inspect->image.reader, inspect->serial);
    if (!contents)
        return no_such_object(inspect, "it has no contents of its own, or is not there");
    if (isatty(STDOUT_FILENO)) {
        error_object(&inspect->error, "standard output");
        error_set(&inspect->error, 0, "it is a terminal, and contents are no text");
        return error_todo(&inspect->error, "lead it to a file or into a pipe");
    }
    char *buffer = malloc(IMAGE_CHUNK);
    if (!buffer)
        return error_set(&inspect->error, ENOMEM, "read contents");
    int result = dump_chunks(inspect, contents, buffer);
    free(buffer);
    return result;
}

static uint64_t contents_bytes(const struct loaded *image)
{
    size_t count;
    uint64_t bytes = 0;
    const struct image_contents *all = image_reader_all_contents(image->reader, &count);
    for (size_t i = 0; i < count; i++)
        bytes += all[i].size;
    return bytes;
}

static void print_head(const struct loaded *image)
{
    char file[MAX_TEXT], command[MAX_TEXT], host[MAX_TEXT], bytes[32], contents[32], when[64];
    const Shadowcl__Image__About *about = image_reader_about(image->reader);
    const struct image_header *header = image_reader_header(image->reader);
    time_t seconds = (time_t)(about->time / 1000000000);
    struct tm local;
    if (!localtime_r(&seconds, &local) || !strftime(when, sizeof when, "%F %T", &local))
        snprintf(when, sizeof when, "?");
    printf("%s: %s, %zu objects, %s of contents; format %u.%u\n",
           text_clean(file, sizeof file, image->path),
           text_bytes(bytes, sizeof bytes, image_reader_size(image->reader)), image->count,
           text_bytes(contents, sizeof contents, contents_bytes(image)), header->major,
           header->minor);
    printf("of process %" PRIu32 " `%s` on %s, %s, by shadowcl ", about->pid,
           text_clean(command, sizeof command, about->command),
           text_clean(host, sizeof host, about->host), when);
    puts(text_clean(command, sizeof command, about->version));
}

static int print_text(struct inspect *inspect)
{
    const struct loaded *image = &inspect->image;
    if (!inspect->one) {
        print_head(image);
        return image_tree_print(image, &inspect->error);
    }
    const char *key;
    json_t *part;
    const image_object *object = loaded_find(image, inspect->serial);
    json_t *json = image_json_object(image, object, true);
    image_line_print(image, object, 0);
    json_object_foreach(json, key, part) json_text_print(key, part, 2);
    json_decref(json);
    return 0;
}

static json_t *objects_json(const struct inspect *inspect)
{
    json_t *array = json_array();
    for (size_t i = 0; i < inspect->image.count; i++)
        if (!inspect->one || inspect->image.objects[i]->serial == inspect->serial)
            json_array_append_new(
                array, image_json_object(&inspect->image, inspect->image.objects[i], inspect->one));
    return array;
}

static int print_json(const struct inspect *inspect, int result)
{
    const struct loaded *image = &inspect->image;
    bool failed = result < 0;
    json_t *element = json_pack("{s:o, s:o, s:o, s:o, s:o}", "file", answer_string(image->path),
                                "image", failed ? json_null() : image_json_file(image), "about",
                                failed ? json_null() : image_json_about(image), "objects",
                                failed ? json_array() : objects_json(inspect), "error",
                                failed ? answer_failure(&inspect->error) : json_null());
    return answer_print(json_pack("[o]", element));
}

static int look(struct inspect *inspect)
{
    struct loaded *image = &inspect->image;
    if (loaded_open(image, inspect->options.files[0], &inspect->error) < 0)
        return -1;
    if (inspect->dump)
        return dump(inspect);
    if (loaded_read_objects(image, &inspect->error) < 0)
        return -1;
    if (inspect->one && !loaded_find(image, inspect->serial))
        return no_such_object(inspect, "it is not there");
    return inspect->options.json ? 0 : print_text(inspect);
}

int verb_inspect(int argc, char **argv)
{
    struct inspect inspect = {.options = {.takes_no_pids = true, .takes_files = 1}};
    options_parse(&inspect.options, &inspect_argp, argc, argv);
    int result = look(&inspect);
    int code = result < 0 ? EXIT_REFUSED : EXIT_DONE;
    if (result < 0)
        report_error("inspect", &inspect.error);
    if (inspect.options.json && print_json(&inspect, result) < 0)
        code = EXIT_REFUSED;
    if (fflush(stdout) != 0)
        code = EXIT_REFUSED;
    loaded_close(&inspect.image);
    return code;
}
