/* SPDX-License-Identifier: Apache-2.0 */
/* Writes an image file, from its first byte to its last: a file, a pipe or a socket. What is
 * written is never read or written again, but for chunks that may be equal to one before, and
 * contents that were set aside. Memory: a few chunks, and a few bytes per chunk and object. Format:
 * docs/image-format.md. */
#ifndef SHADOWCL_SERIALIZE_IMAGE_WRITER_H
#define SHADOWCL_SERIALIZE_IMAGE_WRITER_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "serialize/image_layout.h"
#include "shim/error.h"

enum image_compression {
    IMAGE_COMPRESS_AUTO, /* off where the sink is faster than the compressor */
    IMAGE_COMPRESS_OFF,
    IMAGE_COMPRESS_ZSTD,
};

/* What came of it. */
struct image_summary {
    uint64_t contents_bytes; /* of all contents */
    uint64_t zero_bytes;     /* of those, in zero pages: not stored */
    uint64_t equal_bytes;    /* of those, in chunks that were stored before */
    uint64_t file_bytes;
};

struct image_writer;

/* Begins an image at the descriptor's place, which is taken for offset 0; fd stays the caller's,
 * and is blocking. Equal chunks are found in a file that is open for reading too. All of these: 0,
 * or -1 with the error, which names the offset; the file is of no use then, and all that is asked
 * afterwards fails in the same way. */
int image_writer_create(struct image_writer **writer, int fd, enum image_compression compression,
                        struct error *err);
void image_writer_destroy(struct image_writer *writer);
/* A pipe's or socket's reader that takes nothing is waited for until then; without this, and at
 * most, for `stall` seconds, 30 by default (0: as it was). */
void image_writer_wait_until(struct image_writer *writer, bool (*is_over)(void *data), void *data,
                             double stall);
/* The first thing in it: a Shadowcl__Image__About. */
int image_writer_about(struct image_writer *writer, const ProtobufCMessage *about,
                       struct error *err);
/* A Shadowcl__Image__Object; serials are unlike each other. */
int image_writer_object(struct image_writer *writer, uint64_t serial,
                        const ProtobufCMessage *object, struct error *err);
/* Contents of an object that is in it too: begun, given in order, IMAGE_CHUNK bytes at a time (the
 * last one what is left), and ended. */
int image_writer_begin(struct image_writer *writer, uint64_t serial, uint64_t size,
                       struct error *err);
int image_writer_chunk(struct image_writer *writer, const void *bytes, size_t size,
                       struct error *err);
int image_writer_end(struct image_writer *writer, struct error *err);
/* Instead of the end: they may be written again, from the beginning, and only the last ones count.
 * In a file where equal chunks are found, one that is the same as before is not written again, and
 * another goes to its place if it takes as much room; else the one before stays, for nobody. */
int image_writer_set_aside(struct image_writer *writer, struct error *err);
/* Those that were set aside are the last ones; none: does nothing. */
int image_writer_settle(struct image_writer *writer, uint64_t serial, struct error *err);
/* Contents that were begun come to no end, and what was set aside of that object does not count. */
void image_writer_abandon(struct image_writer *writer);
/* Before the end: are they the ones that were set aside? */
bool image_writer_is_as_before(const struct image_writer *writer);
/* Has something failed? */
int image_writer_check(const struct image_writer *writer, struct error *err);
/* Index and end. Nothing is synced. `summary` may be NULL. */
int image_writer_finish(struct image_writer *writer, struct image_summary *summary,
                        struct error *err);

#endif
