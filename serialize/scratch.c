/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for one message: see scratch.h. */
#include "serialize/scratch.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct scratch_piece {
    struct scratch_piece *next;
    max_align_t bytes[];
};

void *scratch_take(struct scratch *scratch, size_t size)
{
    struct scratch_piece *piece =
        size < SIZE_MAX - sizeof *piece ? calloc(1, sizeof *piece + size) : NULL;
    if (!piece) {
        scratch->failed = true;
        return NULL;
    }
    piece->next = scratch->pieces;
    scratch->pieces = piece;
    return piece->bytes;
}

void *scratch_array(struct scratch *scratch, size_t count, size_t size)
{
    size_t bytes;
    if (!count)
        return NULL;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        scratch->failed = true;
        return NULL;
    }
    return scratch_take(scratch, bytes);
}

void scratch_empty(struct scratch *scratch)
{
    while (scratch->pieces) {
        struct scratch_piece *next = scratch->pieces->next;
        free(scratch->pieces);
        scratch->pieces = next;
    }
    scratch->failed = false;
}
