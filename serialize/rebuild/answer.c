/* SPDX-License-Identifier: Apache-2.0 */
/* What came of it, for the command: one JSON object. */
#include <jansson.h>

#include "agent/text.h"
#include "serialize/rebuild/rebuild.h"
#include "state/device.h"

/* JSON takes UTF-8 only; files and drivers say what they like. */
static json_t *text(const char *string)
{
    char clean[1024];
    json_t *value = json_string(text_clean(clean, sizeof clean, string));
    for (char *byte = clean; !value && *byte; byte++)
        if ((unsigned char)*byte >= 0x80)
            *byte = '?';
    return value ? value : json_string(clean);
}

static json_t *whole(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *failure(const struct error *err)
{
    return json_pack("{s:o, s:o, s:o}", "object", text(err->object), "reason", text(err->reason),
                     "todo", text(err->todo));
}

static json_t *failures(const struct findings *findings)
{
    json_t *array = json_array();
    for (size_t i = 0; i < findings->count; i++)
        json_array_append_new(array, failure(&findings->list[i]));
    return array;
}

/* Where the image's devices were placed. */
static json_t *devices(const struct rebuild *it)
{
    json_t *array = json_array();
    for (size_t i = 0; i < it->count; i++) {
        const struct device *device = (const struct device *)it->objects[i];
        if (it->objects[i]->was != KIND_DEVICE)
            continue;
        const struct device *place = atomic_load(&device->place);
        if (!place)
            continue;
        json_array_append_new(array,
                              json_pack("{s:o, s:o, s:o}", "platform", text(place->platform->name),
                                        "name", text(place->name), "index", whole(place->index)));
    }
    return array;
}

static json_t *warnings(const struct rebuild *it)
{
    json_t *array = json_array();
    for (size_t i = 0; i < it->report.num_warnings; i++)
        json_array_append_new(array, text(it->report.warnings[i]));
    for (size_t i = 0; i < it->notes.count; i++) {
        char line[sizeof(struct error)];
        snprintf(line, sizeof line, "%s: %s", it->notes.list[i].object, it->notes.list[i].reason);
        json_array_append_new(array, text(line));
    }
    return array;
}

static json_t *objects(const struct rebuild *it)
{
    json_t *object = json_object();
    size_t counts[KIND_COUNT] = {0}, svm = it->load ? load_svm_count(it->load) : 0;
    for (size_t i = 0; i < it->count; i++)
        counts[it->objects[i]->was]++;
    for (int kind = KIND_CONTEXT; kind < KIND_COUNT; kind++)
        if (counts[kind])
            json_object_set_new(object, kind_name((enum kind)kind), whole(counts[kind]));
    if (svm)
        json_object_set_new(object, "svm", whole(svm));
    return object;
}

/* Those that were read back. */
static json_t *contents(const struct rebuild *it)
{
    size_t count = 0;
    json_t *array = json_array();
    const struct image_contents *all =
        it->read_back ? image_reader_all_contents(it->reader, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        struct load_owner owner;
        if (!load_find_owner(it->load, all[i].serial, &owner) || (!owner.mem && !owner.svm))
            continue;
        json_array_append_new(array, json_pack("{s:o, s:o, s:b}", "serial", whole(all[i].serial),
                                               "size", whole(all[i].size), "same", it->same[i]));
    }
    return array;
}

int answer_print(struct rebuild *it, const struct error *err, FILE *to)
{
    json_t *ms = json_pack("{s:f, s:f, s:f}", "load", it->load_ms, "rebuild", it->rebuild_ms,
                           "read_back", it->read_back_ms);
    json_t *answer = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "devices", devices(it),
                               "warnings", warnings(it), "missing", failures(&it->missing), "error",
                               err ? failure(err) : json_null(), "objects", objects(it), "bytes",
                               whole(it->bytes), "contents", contents(it), "ms", ms);
    int result = answer ? json_dumpf(answer, to, JSON_INDENT(2) | JSON_REAL_PRECISION(12)) : -1;
    json_decref(answer);
    fputc('\n', to);
    return fflush(to) == 0 ? result : -1;
}
