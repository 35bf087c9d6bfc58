/* SPDX-License-Identifier: Apache-2.0 */
/* Which records make up the contents of one object: while they are written, and as long as it is
 * not known whether they are the last ones. */
#ifndef SHADOWCL_SERIALIZE_IMAGE_DRAFT_H
#define SHADOWCL_SERIALIZE_IMAGE_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_draft {
    uint64_t serial;
    uint64_t size, done;   /* bytes */
    uint64_t zero_bytes;   /* of those done, as in struct image_summary */
    size_t num_chunks;     /* done */
    uint64_t *data;        /* owned: the chunks' records; 0: zeros */
    uint64_t (*hashes)[2]; /* owned */
    uint32_t *stored;      /* owned: bytes of each outside of zero pages */
};

/* Drafts by serial. Begin with {0}. */
struct image_drafts {
    void *tree; /* owned, and what is in it */
};

/* NULL without memory. */
struct image_draft *image_draft_create(uint64_t serial, uint64_t size);
void image_draft_destroy(struct image_draft *draft);
/* The same bytes, by their hashes? */
bool image_draft_equals(const struct image_draft *one, const struct image_draft *other);

/* Takes it, in place of one of the same serial. -1: no memory, and it is still the caller's. */
int image_drafts_put(struct image_drafts *drafts, struct image_draft *draft);
/* Borrowed; NULL: there is none. */
struct image_draft *image_drafts_find(const struct image_drafts *drafts, uint64_t serial);
/* The caller's from then on. */
struct image_draft *image_drafts_take(struct image_drafts *drafts, uint64_t serial);
void image_drafts_finish(struct image_drafts *drafts);

#endif
