/* SPDX-License-Identifier: Apache-2.0 */
/* Images as tests want them: made by the writer from given contents, and compared with these. What
 * fails is said on stderr and aborts. */
#ifndef SHADOWCL_TESTS_UNIT_IMAGE_SAMPLE_H
#define SHADOWCL_TESTS_UNIT_IMAGE_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "serialize/image_reader.h"
#include "serialize/image_writer.h"

enum sample_fill { SAMPLE_ZERO, SAMPLE_RANDOM, SAMPLE_HALF_ZERO, SAMPLE_TEXT };

struct sample {
    uint64_t serial;
    size_t size;
    uint8_t *bytes; /* owned */
};

/* The same seed, the same bytes. */
struct sample sample_create(uint64_t serial, size_t size, enum sample_fill fill, uint64_t seed);
void sample_destroy(struct sample *sample);
void sample_fill(uint8_t *bytes, size_t size, enum sample_fill fill, uint64_t seed);

/* What comes before the buffers; a buffer without its contents: 0 or -1. */
int sample_begin(struct image_writer *writer, struct error *err);
int sample_object(struct image_writer *writer, const struct sample *sample, struct error *err);
/* An image of a context, of a buffer for each sample and of its contents; 0 or -1. */
int sample_write(int fd, enum image_compression compression, const struct sample *samples,
                 size_t count, struct image_summary *summary, struct error *err);
/* The same, without errors. */
struct image_summary sample_image(int fd, enum image_compression compression,
                                  const struct sample *samples, size_t count);
/* Opens it, verifies it, and compares everything. */
void sample_compare(int fd, const struct sample *samples, size_t count);
/* Reads all there is of an image: 0, or -1 with the error. */
int sample_read(int fd, struct error *err);
int sample_memfd(void);

#endif
