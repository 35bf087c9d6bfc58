/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for one message: taken piece by piece, given back all at once. What could not be had is
 * told once, at the end, so that messages can be put together without a look at each piece. */
#ifndef SHADOWCL_SERIALIZE_SCRATCH_H
#define SHADOWCL_SERIALIZE_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

struct scratch {
    struct scratch_piece *pieces; /* owned, the newest first */
    bool failed;                  /* something could not be had */
};

/* Zeroed; NULL without memory. */
void *scratch_take(struct scratch *scratch, size_t size);
/* An array; count 0 gives NULL, and is no failure. */
void *scratch_array(struct scratch *scratch, size_t count, size_t size);
/* For the next message; `failed` is taken back. */
void scratch_empty(struct scratch *scratch);

#endif
