/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to commands: see reply.h. */
#include "agent/daemon/reply.h"

#include "agent/answer.h"
#include "agent/lines.h"

#include <stdio.h>
#include <string.h>

/* Room for the `id` that comes with it. */
enum { LONGEST = LINES_LONGEST - 4096, MOST_ELEMENTS = 4096, LEAST_TEXT = 64, MOST_TEXT = 1024 };

json_t *reply_return(json_t *value)
{
    return json_pack("{s:o}", "return", value);
}

/* One sentence for a person: what, why, what to do. */
static json_t *describe(const struct error *err)
{
    char text[sizeof(struct error) + 16];
    snprintf(text, sizeof text, "%s%s%s%s%s", err->object, err->object[0] ? ": " : "", err->reason,
             err->todo[0] ? "; " : "", err->todo);
    return answer_string(text);
}

json_t *reply_error(const char *class, const struct error *err, json_t *data)
{
    json_t *error = json_pack("{s:s, s:o, s:o, s:o, s:o}", "class", class, "desc", describe(err),
                              "object", answer_string(err->object), "reason",
                              answer_string(err->reason), "todo", answer_string(err->todo));
    if (err->is_final)
        json_object_set_new(error, "final", json_true());
    if (data)
        json_object_set_new(error, "data", data);
    return json_pack("{s:o}", "error", error);
}

json_t *reply_with_id(const json_t *reply, json_t *id)
{
    json_t *whole = json_copy((json_t *)reply);
    if (id)
        json_object_set(whole, "id", id);
    return whole;
}

static bool is_too_long(const json_t *message)
{
    return json_dumpb(message, NULL, 0, JSON_COMPACT) > LONGEST;
}

/* Not in the middle of a character. */
static void cut_text(json_t *text, size_t most)
{
    const char *old = json_string_value(text);
    char cut[MOST_TEXT + 8];
    if (json_string_length(text) <= most)
        return;
    while (most > 0 && ((unsigned char)old[most] & 0xc0) == 0x80)
        most--;
    snprintf(cut, sizeof cut, "%.*s...", (int)most, old);
    json_string_set(text, cut);
}

static void cut_list(json_t *list, size_t most)
{
    char text[64];
    size_t size = json_array_size(list);
    if (size <= most)
        return;
    bool are_texts = json_is_string(json_array_get(list, 0));
    while (json_array_size(list) > most)
        json_array_remove(list, json_array_size(list) - 1);
    snprintf(text, sizeof text, "and %zu more", size - most);
    if (are_texts)
        json_array_append_new(list, json_string(text));
}

static void cut(json_t *value, size_t most)
{
    const char *name;
    json_t *member;
    if (json_is_string(value))
        cut_text(value, most < LEAST_TEXT ? LEAST_TEXT : most < MOST_TEXT ? most : MOST_TEXT);
    if (json_is_array(value))
        cut_list(value, most);
    for (size_t i = 0; i < json_array_size(value); i++)
        cut(json_array_get(value, i), most);
    json_object_foreach(value, name, member)
    {
        cut(member, most);
    }
}

static bool fits_when_cut(const json_t *message, size_t most)
{
    json_t *copy = json_deep_copy(message);
    cut(copy, most);
    bool fits = !is_too_long(copy);
    json_decref(copy);
    return fits;
}

void reply_fit(json_t *message)
{
    size_t most = MOST_ELEMENTS;
    if (!is_too_long(message))
        return;
    while (most > 1 && !fits_when_cut(message, most))
        most /= 4;
    cut(message, most);
    json_object_set_new(message, "cut", json_true());
}
