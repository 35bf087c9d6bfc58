/* SPDX-License-Identifier: Apache-2.0 */
/* The chunks of contents: see image_draft.h. */
#include "serialize/image_draft.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "serialize/image_layout.h"

struct image_draft *image_draft_create(uint64_t serial, uint64_t size)
{
    uint64_t chunks = size / IMAGE_CHUNK + !!(size % IMAGE_CHUNK);
    struct image_draft *draft = calloc(1, sizeof *draft);
    if (!draft)
        return NULL;
    draft->serial = serial;
    draft->size = size;
    draft->data = calloc(chunks ? chunks : 1, sizeof *draft->data);
    draft->hashes = calloc(chunks ? chunks : 1, sizeof *draft->hashes);
    draft->stored = calloc(chunks ? chunks : 1, sizeof *draft->stored);
    if (draft->data && draft->hashes && draft->stored)
        return draft;
    image_draft_destroy(draft);
    return NULL;
}

void image_draft_destroy(struct image_draft *draft)
{
    if (!draft)
        return;
    free(draft->data);
    free(draft->hashes);
    free(draft->stored);
    free(draft);
}

bool image_draft_equals(const struct image_draft *one, const struct image_draft *other)
{
    return one->size == other->size && one->num_chunks == other->num_chunks &&
           !memcmp(one->hashes, other->hashes, one->num_chunks * sizeof *one->hashes);
}

static int compare(const void *a, const void *b)
{
    uint64_t one = ((const struct image_draft *)a)->serial;
    uint64_t other = ((const struct image_draft *)b)->serial;
    return (one > other) - (one < other);
}

int image_drafts_put(struct image_drafts *drafts, struct image_draft *draft)
{
    struct image_draft **place = tsearch(draft, &drafts->tree, compare);
    if (!place)
        return -1;
    if (*place != draft)
        image_draft_destroy(*place);
    *place = draft;
    return 0;
}

struct image_draft *image_drafts_find(const struct image_drafts *drafts, uint64_t serial)
{
    const struct image_draft key = {.serial = serial};
    struct image_draft *const *place = tfind(&key, &drafts->tree, compare);
    return place ? *place : NULL;
}

struct image_draft *image_drafts_take(struct image_drafts *drafts, uint64_t serial)
{
    struct image_draft *draft = image_drafts_find(drafts, serial);
    if (draft)
        tdelete(draft, &drafts->tree, compare);
    return draft;
}

static void destroy(void *draft)
{
    image_draft_destroy(draft);
}

void image_drafts_finish(struct image_drafts *drafts)
{
    tdestroy(drafts->tree, destroy);
    drafts->tree = NULL;
}
