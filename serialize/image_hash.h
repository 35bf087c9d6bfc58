/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums and hashes of the image file: XXH3, by xxhash, which is compiled into image_hash.c. */
#ifndef SHADOWCL_SERIALIZE_IMAGE_HASH_H
#define SHADOWCL_SERIALIZE_IMAGE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t image_checksum(const void *bytes, size_t size);                   /* 64 bits */
void image_hash(const void *bytes, size_t size, uint64_t hash[2]);         /* 128: low, high */
void image_hash_zeros(size_t size, uint64_t hash[2]);                      /* of so many zeros */
void image_digest(const uint64_t *hashes, size_t count, uint64_t hash[2]); /* of `count` hashes */

/* The checksum of what comes in pieces. NULL: no memory. */
struct image_summer;
struct image_summer *image_summer_create(void);
void image_summer_destroy(struct image_summer *summer);
void image_summer_add(struct image_summer *summer, const void *bytes, size_t size);
uint64_t image_summer_take(struct image_summer *summer); /* and begins anew */

#endif
