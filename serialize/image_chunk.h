/* SPDX-License-Identifier: Apache-2.0 */
/* The pages of a chunk: which of them have a byte other than zero, and these one behind the other.
 */
#ifndef SHADOWCL_SERIALIZE_IMAGE_CHUNK_H
#define SHADOWCL_SERIALIZE_IMAGE_CHUNK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "serialize/image_layout.h"

#define IMAGE_CHUNK_PAGES (IMAGE_CHUNK / IMAGE_PAGE)
#define IMAGE_MAP_BYTES (IMAGE_CHUNK_PAGES / 8)
/* No two runs of pages lie side by side. */
#define IMAGE_CHUNK_RUNS (IMAGE_CHUNK_PAGES / 2)

struct image_pages {
    size_t size;                  /* of the chunk, bytes */
    size_t stored;                /* of those pages that are set */
    uint8_t map[IMAGE_MAP_BYTES]; /* a bit for each page, the lowest first */
};

void image_pages_find(struct image_pages *pages, const void *bytes, size_t size);
/* All of them are set. */
void image_pages_fill(struct image_pages *pages, size_t size);
/* From a file's map; -1 if bits are set behind the last page. */
int image_pages_read(struct image_pages *pages, size_t size, const uint8_t *map);
size_t image_pages_map_bytes(size_t size);
/* Their runs within the chunk at `bytes`; how many. */
int image_pages_runs(const struct image_pages *pages, const void *bytes,
                     struct iovec runs[IMAGE_CHUNK_RUNS]);
void image_pages_pack(const struct image_pages *pages, const void *bytes, void *to);
/* The other way; all other pages become zero. */
void image_pages_spread(const struct image_pages *pages, const void *from, void *bytes);

#endif
