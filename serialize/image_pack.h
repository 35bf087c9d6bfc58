/* SPDX-License-Identifier: Apache-2.0 */
/* How the pages of a chunk are stored: as they are, or compressed where that is shorter, and with
 * IMAGE_COMPRESS_AUTO only where it is faster than to write the bytes that it saves. */
#ifndef SHADOWCL_SERIALIZE_IMAGE_PACK_H
#define SHADOWCL_SERIALIZE_IMAGE_PACK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "serialize/image_chunk.h"
#include "serialize/image_writer.h"

struct image_packer {
    enum image_compression compression;
    void *zstd;          /* owned: ZSTD_CCtx */
    uint8_t *packed;     /* owned: IMAGE_CHUNK */
    uint8_t *compressed; /* owned: IMAGE_CHUNK */
    unsigned until_probe;
    double cost;  /* s to compress a byte, lately; 0: not known yet */
    double ratio; /* bytes that come of it */
};

/* What is to be written. */
struct image_packed {
    enum image_codec codec;
    uint64_t checksum; /* if compressed */
    int count;
    struct iovec runs[IMAGE_CHUNK_RUNS];
};

/* sink_cost: s that it takes to write a byte, 0 if that is not known. -1: no memory. */
int image_packer_pack(struct image_packer *packer, const struct image_pages *pages,
                      const void *bytes, double sink_cost, struct image_packed *packed);
void image_packer_finish(struct image_packer *packer);

#endif
