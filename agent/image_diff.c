/* SPDX-License-Identifier: Apache-2.0 */
/* In what two images differ: see image_diff.h. Contents are compared by their digests, then by the
 * chunks' hashes; bytes are read only of chunks that differ. */
#include "agent/image_diff.h"

#include "agent/image_json.h"
#include "agent/progress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RANGES = 1000, MAX_PATH = 256, STRIDE = 64 };

struct diff {
    struct loaded *a, *b;
    char *bytes[2]; /* owned: a chunk of each */
    struct progress progress;
    struct error *err;
};

/* What differs in the contents of one object. */
struct ranges {
    json_t *list;
    uint64_t count, bytes;
    uint64_t offset, size; /* of the last one, which may go on */
};

static void end_range(struct ranges *ranges)
{
    if (ranges->size && json_array_size(ranges->list) < MAX_RANGES)
        json_array_append_new(ranges->list, json_pack("[o, o]", image_json_whole(ranges->offset),
                                                      image_json_whole(ranges->size)));
    ranges->count += ranges->size != 0;
    ranges->size = 0;
}

static void add_byte(struct ranges *ranges, uint64_t offset)
{
    if (offset != ranges->offset + ranges->size)
        end_range(ranges);
    if (!ranges->size)
        ranges->offset = offset;
    ranges->size++;
    ranges->bytes++;
}

static void compare_bytes(struct ranges *ranges, const char *a, const char *b, size_t size,
                          uint64_t offset)
{
    for (size_t i = 0; i < size; i += STRIDE) {
        size_t length = size - i < STRIDE ? size - i : STRIDE;
        if (!memcmp(a + i, b + i, length))
            continue;
        for (size_t j = i; j < i + length; j++)
            if (a[j] != b[j])
                add_byte(ranges, offset + j);
    }
}

static int read_hash(struct diff *diff, struct loaded *image, const struct image_contents *contents,
                     size_t chunk, uint64_t hash[2])
{
    if (image_reader_chunk_hash(image->reader, contents, chunk, hash, diff->err) == 0)
        return 0;
    return loaded_name(image, diff->err);
}

static int read_chunk(struct diff *diff, struct loaded *image,
                      const struct image_contents *contents, size_t chunk, char *to)
{
    if (image_reader_chunk(image->reader, contents, chunk, to, diff->err) == 0)
        return 0;
    return loaded_name(image, diff->err);
}

static int compare_chunk(struct diff *diff, const struct image_contents *a,
                         const struct image_contents *b, size_t chunk, struct ranges *ranges)
{
    uint64_t hash[2][2];
    size_t size = image_chunk_size(a, chunk), other = image_chunk_size(b, chunk);
    if (read_hash(diff, diff->a, a, chunk, hash[0]) < 0 ||
        read_hash(diff, diff->b, b, chunk, hash[1]) < 0)
        return -1;
    if (size == other && !memcmp(hash[0], hash[1], sizeof hash[0]))
        return 0;
    if (read_chunk(diff, diff->a, a, chunk, diff->bytes[0]) < 0 ||
        read_chunk(diff, diff->b, b, chunk, diff->bytes[1]) < 0)
        return -1;
    compare_bytes(ranges, diff->bytes[0], diff->bytes[1], size < other ? size : other,
                  (uint64_t)chunk * IMAGE_CHUNK);
    return 0;
}

static int compare_chunks(struct diff *diff, const struct image_contents *a,
                          const struct image_contents *b, struct ranges *ranges)
{
    size_t count = a->num_chunks < b->num_chunks ? a->num_chunks : b->num_chunks;
    for (size_t i = 0; i < count; i++) {
        if (compare_chunk(diff, a, b, i, ranges) < 0)
            return -1;
        progress_tell(&diff->progress, diff->b->path, (double)(i + 1) / (double)count);
    }
    end_range(ranges);
    return 0;
}

static json_t *size_json(const struct image_contents *contents)
{
    return contents ? image_json_whole(contents->size) : json_null();
}

static bool are_same(const struct image_contents *a, const struct image_contents *b)
{
    if (!a || !b)
        return a == b;
    return a->size == b->size && !memcmp(a->digest, b->digest, sizeof a->digest);
}

/* null where they are the same; NULL where they can't be read. */
static json_t *diff_contents(struct diff *diff, uint64_t serial)
{
    const struct image_contents *a = image_reader_contents(diff->a->reader, serial);
    const struct image_contents *b = image_reader_contents(diff->b->reader, serial);
    if (are_same(a, b))
        return json_null();
    struct ranges ranges = {.list = json_array()};
    if (a && b && compare_chunks(diff, a, b, &ranges) < 0) {
        json_decref(ranges.list);
        return NULL;
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "size_a", size_json(a), "size_b", size_json(b),
                     "bytes", image_json_whole(ranges.bytes), "num_ranges",
                     image_json_whole(ranges.count), "ranges", ranges.list);
}

static void diff_values(json_t *fields, const char *path, const json_t *a, const json_t *b);

static void diff_members(json_t *fields, const char *path, const json_t *a, const json_t *b)
{
    char name[MAX_PATH];
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)a, key, value)
    {
        snprintf(name, sizeof name, "%s%s%s", path, *path ? "." : "", key);
        diff_values(fields, name, value, json_object_get(b, key));
    }
    json_object_foreach((json_t *)b, key, value)
    {
        snprintf(name, sizeof name, "%s%s%s", path, *path ? "." : "", key);
        if (!json_object_get(a, key))
            diff_values(fields, name, NULL, value);
    }
}

static void diff_elements(json_t *fields, const char *path, const json_t *a, const json_t *b)
{
    char name[MAX_PATH];
    size_t one = json_array_size(a), other = json_array_size(b);
    for (size_t i = 0; i < one || i < other; i++) {
        snprintf(name, sizeof name, "%s[%zu]", path, i);
        diff_values(fields, name, json_array_get(a, i), json_array_get(b, i));
    }
}

static json_t *value_or_null(const json_t *value)
{
    return value ? json_incref((json_t *)value) : json_null();
}

static void diff_values(json_t *fields, const char *path, const json_t *a, const json_t *b)
{
    if (a && b && json_equal(a, b))
        return;
    if (json_is_object(a) && json_is_object(b))
        diff_members(fields, path, a, b);
    else if (json_is_array(a) && json_is_array(b))
        diff_elements(fields, path, a, b);
    else
        json_array_append_new(fields, json_pack("{s:s, s:o, s:o}", "field", path, "a",
                                                value_or_null(a), "b", value_or_null(b)));
}

/* Contents are compared apart. */
static json_t *plain_json(const struct loaded *image, const image_object *object)
{
    json_t *json = image_json_object(image, object, false);
    json_object_del(json, "contents");
    return json;
}

static json_t *diff_fields(const struct diff *diff, const image_object *a, const image_object *b)
{
    json_t *fields = json_array();
    json_t *one = plain_json(diff->a, a), *other = plain_json(diff->b, b);
    diff_values(fields, "", one, other);
    json_decref(one);
    json_decref(other);
    return fields;
}

static json_t *name_json(const image_object *object)
{
    return json_pack("{s:o, s:s}", "serial", image_json_whole(object->serial), "kind",
                     loaded_kind(object));
}

static int diff_object(struct diff *diff, const image_object *a, const image_object *b,
                       json_t *changed)
{
    json_t *contents = diff_contents(diff, a->serial);
    if (!contents)
        return -1;
    json_t *fields = diff_fields(diff, a, b);
    if (json_is_null(contents) && !json_array_size(fields)) {
        json_decref(contents);
        json_decref(fields);
        return 0;
    }
    json_t *element = name_json(a);
    json_object_set_new(element, "fields", fields);
    json_object_set_new(element, "contents", contents);
    json_array_append_new(changed, element);
    return 0;
}

static int diff_objects(struct diff *diff, json_t *came, json_t *went, json_t *changed)
{
    for (size_t i = 0; i < diff->a->count; i++) {
        const image_object *a = diff->a->objects[i], *b = loaded_find(diff->b, a->serial);
        if (!b || a->kind_case != b->kind_case)
            json_array_append_new(went, name_json(a));
        else if (diff_object(diff, a, b, changed) < 0)
            return -1;
    }
    for (size_t i = 0; i < diff->b->count; i++) {
        const image_object *b = diff->b->objects[i], *a = loaded_find(diff->a, b->serial);
        if (!a || a->kind_case != b->kind_case)
            json_array_append_new(came, name_json(b));
    }
    return 0;
}

json_t *image_diff(struct loaded *a, struct loaded *b, struct error *err)
{
    struct diff diff = {.a = a, .b = b, .err = err};
    json_t *came = json_array(), *went = json_array(), *changed = json_array();
    diff.bytes[0] = malloc(IMAGE_CHUNK);
    diff.bytes[1] = malloc(IMAGE_CHUNK);
    progress_start(&diff.progress, "comparing");
    int result = diff.bytes[0] && diff.bytes[1] ? diff_objects(&diff, came, went, changed)
                                                : error_set(err, ENOMEM, "compare contents");
    progress_end(&diff.progress);
    free(diff.bytes[0]);
    free(diff.bytes[1]);
    json_t *json = json_pack("{s:o, s:o, s:o}", "came", came, "went", went, "changed", changed);
    if (result == 0)
        return json;
    json_decref(json);
    return NULL;
}
