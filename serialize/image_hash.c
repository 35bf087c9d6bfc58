/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums and hashes: see image_hash.h. No symbol of xxhash gets into other people's processes.
 */
#include "serialize/image_hash.h"

#include <string.h>

#include "serialize/image_layout.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Numbers are hashed as they lie in memory, and the file is little-endian. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "images are little-endian");

uint64_t image_checksum(const void *bytes, size_t size)
{
    return XXH3_64bits(bytes, size);
}

void image_hash(const void *bytes, size_t size, uint64_t hash[2])
{
    XXH128_hash_t both = XXH3_128bits(bytes, size);
    hash[0] = both.low64;
    hash[1] = both.high64;
}

/* What most zeros are in; test_image_chunk computes it again. */
static const uint64_t hash_of_zero_chunk[2] = {0x918780b90550bf34, 0xb6ef17a3448492b6};

void image_hash_zeros(size_t size, uint64_t hash[2])
{
    if (size == IMAGE_CHUNK) {
        memcpy(hash, hash_of_zero_chunk, sizeof hash_of_zero_chunk);
        return;
    }
    static const uint8_t zeros[4096];
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    for (; size > sizeof zeros; size -= sizeof zeros)
        XXH3_128bits_update(&state, zeros, sizeof zeros);
    XXH3_128bits_update(&state, zeros, size);
    XXH128_hash_t both = XXH3_128bits_digest(&state);
    hash[0] = both.low64;
    hash[1] = both.high64;
}

void image_digest(const uint64_t *hashes, size_t count, uint64_t hash[2])
{
    image_hash(hashes, 2 * count * sizeof *hashes, hash);
}

struct image_summer *image_summer_create(void)
{
    XXH3_state_t *state = XXH3_createState();
    if (state)
        XXH3_64bits_reset(state);
    return (struct image_summer *)state;
}

void image_summer_destroy(struct image_summer *summer)
{
    XXH3_freeState((XXH3_state_t *)summer);
}

void image_summer_add(struct image_summer *summer, const void *bytes, size_t size)
{
    XXH3_64bits_update((XXH3_state_t *)summer, bytes, size);
}

uint64_t image_summer_take(struct image_summer *summer)
{
    uint64_t sum = XXH3_64bits_digest((XXH3_state_t *)summer);
    XXH3_64bits_reset((XXH3_state_t *)summer);
    return sum;
}
