/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to commands: see reply.h. */
#include "agent/daemon/reply.h"

#include "agent/answer.h"

#include <stdio.h>

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
