/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs have on the device, together: see contents.h. What a guest says is not trusted:
 * numbers may be anything, and processes as many as it likes. */
#include "agent/vm/contents.h"

#include <stdlib.h>

enum { MOST_SHARES = 4096 };

/* One program's. */
struct contents_share {
    json_int_t pid;
    double bytes, of;
};

static double number_of(const json_t *object, const char *name)
{
    double number = json_number_value(json_object_get(object, name));
    return number > 0 ? number : 0;
}

void contents_expect(struct contents *contents, const json_t *answer)
{
    contents->expected = number_of(answer, "bytes");
}

void contents_forget(struct contents *contents)
{
    contents->count = 0;
}

/* That of this program, which may be new. NULL where there is no more room. */
static struct contents_share *find(struct contents *contents, json_int_t pid)
{
    for (size_t i = 0; i < contents->count; i++)
        if (contents->list[i].pid == pid)
            return &contents->list[i];
    if (contents->count == MOST_SHARES)
        return NULL;
    struct contents_share *list = realloc(contents->list, (contents->count + 1) * sizeof *list);
    if (!list)
        return NULL;
    contents->list = list;
    list[contents->count] = (struct contents_share){.pid = pid};
    return &list[contents->count++];
}

void contents_take(struct contents *contents, const json_t *data)
{
    struct contents_share *share = find(contents, json_integer_value(json_object_get(data, "pid")));
    if (!share)
        return;
    share->of = number_of(data, "of");
    share->bytes = number_of(data, "bytes");
    if (share->bytes > share->of)
        share->bytes = share->of;
}

void contents_sum(const struct contents *contents, double *done, double *of)
{
    *done = *of = 0;
    for (size_t i = 0; i < contents->count; i++) {
        *done += contents->list[i].bytes;
        *of += contents->list[i].of;
    }
    /* Some may not have been told of yet. */
    if (*of < contents->expected)
        *of = contents->expected;
}

void contents_finish(struct contents *contents)
{
    free(contents->list);
    *contents = (struct contents){0};
}
