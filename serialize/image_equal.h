/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks that are in the image already, by hash: a table of where they lie. */
#ifndef SHADOWCL_SERIALIZE_IMAGE_EQUAL_H
#define SHADOWCL_SERIALIZE_IMAGE_EQUAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_equal_slot {
    uint64_t hash[2];
    uint64_t offset; /* 0: empty */
    bool shared;     /* more than one chunk is there */
    bool counted;    /* of contents that are final */
};

/* Begin with {0}. */
struct image_equal {
    struct image_equal_slot *slots; /* owned */
    size_t size;                    /* a power of two */
    size_t count;
};

uint64_t image_equal_find(const struct image_equal *equal, const uint64_t hash[2]); /* 0: none */
/* -1: no memory. One of the same hash is put in the other's place. */
int image_equal_add(struct image_equal *equal, const uint64_t hash[2], uint64_t offset);
/* Another chunk of this hash is at the same place from now on. */
void image_equal_share(struct image_equal *equal, const uint64_t hash[2]);
/* Is the chunk at that place the only one that is there? */
bool image_equal_is_alone(const struct image_equal *equal, const uint64_t hash[2], uint64_t offset);
/* Notes that final contents have the chunk at that place. Had others it before? */
bool image_equal_count(struct image_equal *equal, const uint64_t hash[2], uint64_t offset);
void image_equal_finish(struct image_equal *equal);

#endif
