/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzzers change is not an image, whose checksums would be wrong after every change, but a
 * recipe from which one is made: with right checksums, lengths and offsets, unless it says
 * otherwise.
 *
 * A recipe is a byte for the header (enum recipe_header), then for each record: its type (a byte;
 * IMAGE_END stands for more), how it is (RECIPE_*, a byte), the length of its payload (two bytes,
 * little-endian) and that. In messages and the end, offsets are numbers of records, from 1 on. */
#ifndef SHADOWCL_TESTS_FUZZ_IMAGE_RECIPE_H
#define SHADOWCL_TESTS_FUZZ_IMAGE_RECIPE_H

#include <stddef.h>
#include <stdint.h>

enum recipe_header {
    RECIPE_HEADER_RIGHT,
    RECIPE_HEADER_NEWER_MINOR,
    RECIPE_HEADER_NEWER_MAJOR,
    RECIPE_HEADER_LONGER,
    RECIPE_HEADER_CHUNK,
    RECIPE_HEADER_CHECKSUM,
    RECIPE_HEADER_ID, /* another in the end */
};

/* Lower three bits: what is wrong with the record. */
enum recipe_damage {
    RECIPE_RIGHT,
    RECIPE_CHECKSUM,
    RECIPE_OWN,
    RECIPE_MARK,
    RECIPE_LONGER,
    RECIPE_SHORTER,
    RECIPE_HUGE,
    RECIPE_FLAGS,
};
#define RECIPE_DAMAGE 7
#define RECIPE_AS_IT_IS 8   /* offsets are not numbers of records */
#define RECIPE_KEEP_HASH 16 /* hash and digest stay as they are */

/* Grows as it must, and aborts without memory. Begin with {0}. */
struct bytes {
    uint8_t *all; /* owned */
    size_t size;
    size_t room;
};

void bytes_add(struct bytes *bytes, const void *more, size_t size);
void bytes_finish(struct bytes *bytes);

void recipe_cook(const uint8_t *recipe, size_t size, struct bytes *image);
/* From an image without a fault, whose records are short. */
void recipe_write(const uint8_t *image, size_t size, struct bytes *recipe);

#endif
