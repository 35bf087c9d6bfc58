/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks that are in the image already: see image_equal.h. */
#include "serialize/image_equal.h"

#include <stdlib.h>
#include <string.h>

/* Half of the slots at least are empty. */
static struct image_equal_slot *find_slot(const struct image_equal *equal, const uint64_t hash[2])
{
    size_t i = (size_t)hash[0] & (equal->size - 1);
    while (equal->slots[i].offset &&
           (equal->slots[i].hash[0] != hash[0] || equal->slots[i].hash[1] != hash[1]))
        i = (i + 1) & (equal->size - 1);
    return &equal->slots[i];
}

static int grow(struct image_equal *equal)
{
    struct image_equal larger = {.size = equal->size ? 2 * equal->size : 64, .count = equal->count};
    larger.slots = calloc(larger.size, sizeof *larger.slots);
    if (!larger.slots)
        return -1;
    for (size_t i = 0; i < equal->size; i++)
        if (equal->slots[i].offset)
            *find_slot(&larger, equal->slots[i].hash) = equal->slots[i];
    free(equal->slots);
    *equal = larger;
    return 0;
}

uint64_t image_equal_find(const struct image_equal *equal, const uint64_t hash[2])
{
    return equal->size ? find_slot(equal, hash)->offset : 0;
}

int image_equal_add(struct image_equal *equal, const uint64_t hash[2], uint64_t offset)
{
    if (2 * equal->count >= equal->size && grow(equal) < 0)
        return -1;
    struct image_equal_slot *slot = find_slot(equal, hash);
    equal->count += !slot->offset;
    *slot = (struct image_equal_slot){.hash = {hash[0], hash[1]}, .offset = offset};
    return 0;
}

void image_equal_share(struct image_equal *equal, const uint64_t hash[2])
{
    find_slot(equal, hash)->shared = true;
}

bool image_equal_is_alone(const struct image_equal *equal, const uint64_t hash[2], uint64_t offset)
{
    if (!equal->size)
        return false;
    const struct image_equal_slot *slot = find_slot(equal, hash);
    return slot->offset == offset && !slot->shared;
}

bool image_equal_count(struct image_equal *equal, const uint64_t hash[2], uint64_t offset)
{
    if (!equal->size)
        return false;
    struct image_equal_slot *slot = find_slot(equal, hash);
    bool before = slot->offset == offset && slot->counted;
    slot->counted = slot->offset == offset;
    return before;
}

void image_equal_finish(struct image_equal *equal)
{
    free(equal->slots);
    *equal = (struct image_equal){0};
}
