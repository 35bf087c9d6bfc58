/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of ours under buffers. A driver wants it aligned, and an allocator takes much longer for
 * that than for other memory: small blocks that are freed are kept for the next buffer. */
#ifndef SHADOWCL_STATE_BLOCK_H
#define SHADOWCL_STATE_BLOCK_H

#include <stddef.h>

/* Memory at a multiple of 128 bytes, of a page where it is large; NULL: there is none. */
void *block_alloc(size_t size);
/* NULL is fine. Any thread, also a driver's. */
void block_free(void *block);

#endif
