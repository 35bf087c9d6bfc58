/* SPDX-License-Identifier: Apache-2.0 */
/* What can be read of an image at an offset: bytes, records, chunks. Nothing is trusted. */
#ifndef SHADOWCL_SERIALIZE_IMAGE_FILE_H
#define SHADOWCL_SERIALIZE_IMAGE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "serialize/image_chunk.h"
#include "serialize/image_layout.h"
#include "shim/error.h"

struct image_file {
    int fd;
    uint64_t base; /* where in fd the image begins */
    uint64_t size; /* of the image, bytes */
    uint8_t id[16];
};

/* A data record, all but its stored bytes. */
struct image_stored {
    struct image_data data;
    struct image_pages pages;
    uint64_t offset; /* of the record */
    uint64_t begin;  /* of the stored bytes */
    size_t length;   /* of those */
};

/* What reading chunks needs beside their target: begin with {0}. */
struct image_buffers {
    uint8_t *packed;     /* owned: IMAGE_CHUNK */
    uint8_t *compressed; /* owned: IMAGE_CHUNK */
    void *zstd;          /* owned: ZSTD_DCtx */
};

uint64_t image_record_own(const struct image_record *record, uint64_t offset, const uint8_t id[16]);
int image_file_read(const struct image_file *file, uint64_t offset, void *to, size_t size,
                    struct error *err);
/* Its own checksum and its length are right; the payload is not read. */
int image_file_record(const struct image_file *file, uint64_t offset, struct image_record *record,
                      struct error *err);
/* The data record of a chunk of so many bytes; 0: of any. */
int image_file_stored(const struct image_file *file, uint64_t offset, size_t size,
                      struct image_stored *stored, struct error *err);
/* The chunk's bytes, which are what the hash says. */
int image_file_chunk(const struct image_file *file, const struct image_stored *stored,
                     struct image_buffers *buffers, void *to, struct error *err);
void image_buffers_finish(struct image_buffers *buffers);

#endif
