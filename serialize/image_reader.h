/* SPDX-License-Identifier: Apache-2.0 */
/* Reads an image file and trusts nothing in it: every length, offset and reference is checked
 * before it is used, every byte by its checksum before it is believed. Errors name the offset. Only
 * reads at offsets (pread): several readers may share a file, and one reader several threads, but
 * for image_reader_chunk, which has one buffer. */
#ifndef SHADOWCL_SERIALIZE_IMAGE_READER_H
#define SHADOWCL_SERIALIZE_IMAGE_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "file.pb-c.h"
#include "object.pb-c.h"
#include "serialize/image_layout.h"
#include "shim/error.h"

struct image_reader;

/* One object's contents, as checked. */
struct image_contents {
    uint64_t serial;
    uint64_t size;
    uint64_t digest[2];
    size_t num_chunks;
    uint64_t *data; /* owned: where each chunk's record begins; 0: zeros */
};

/* Checks header, end and index; fd stays the caller's and must be a file. */
int image_reader_open(struct image_reader **reader, int fd, struct error *err);
void image_reader_close(struct image_reader *reader);
const Shadowcl__Image__About *image_reader_about(const struct image_reader *reader);
const struct image_header *image_reader_header(const struct image_reader *reader);
uint64_t image_reader_size(const struct image_reader *reader); /* of the file, bytes */

size_t image_reader_num_objects(const struct image_reader *reader);
uint64_t image_reader_serial(const struct image_reader *reader, size_t index);
uint64_t image_reader_offset(const struct image_reader *reader, size_t index); /* of its record */
/* The caller frees it (shadowcl__image__object__free_unpacked). */
int image_reader_object(struct image_reader *reader, size_t index, Shadowcl__Image__Object **object,
                        struct error *err);

/* All contents, in the order of serials; those of one object, NULL: it has none. Borrowed. */
const struct image_contents *image_reader_all_contents(struct image_reader *reader, size_t *count);
const struct image_contents *image_reader_contents(struct image_reader *reader, uint64_t serial);
/* The bytes of a chunk, checked: of IMAGE_CHUNK, or what is left in the last one. */
size_t image_chunk_size(const struct image_contents *contents, size_t chunk);
int image_reader_chunk(struct image_reader *reader, const struct image_contents *contents,
                       size_t chunk, void *to, struct error *err);
/* Its hash, as the file says; the bytes are not read. */
int image_reader_chunk_hash(struct image_reader *reader, const struct image_contents *contents,
                            size_t chunk, uint64_t hash[2], struct error *err);

/* Goes over the whole file, record by record, and checks every byte of it, also that nothing lies
 * between or behind, and that contents have the digests that they are said to have. `told` (may be
 * NULL) hears how far it is; it ends when that returns false. */
int image_reader_verify(struct image_reader *reader, bool (*told)(void *data, uint64_t done),
                        void *data, struct error *err);

#endif
