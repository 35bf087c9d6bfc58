/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands on buffers share. */
#ifndef SHADOWCL_SHIM_TRANSFER_H
#define SHADOWCL_SHIM_TRANSFER_H

#include "state/mem.h"

/* A buffer argument: the application's handle until it is checked, then the shadow. */
union buffer {
    cl_mem handle;
    struct mem *mem;
};

/* CL_INVALID_MEM_OBJECT or CL_INVALID_CONTEXT, or the handle becomes the shadow. */
cl_int transfer_check_buffer(struct queue *queue, union buffer *buffer);
/* §5.2.2: CL_MEM_HOST_WRITE_ONLY and NO_ACCESS can't be read, READ_ONLY and NO_ACCESS not written:
 * CL_INVALID_OPERATION. */
cl_int transfer_check_access(const struct mem *mem, bool write);
/* §5.5.4, also of shared virtual memory: CL_INVALID_VALUE for what is no flag of it. */
cl_int transfer_check_migration(cl_mem_migration_flags flags);
/* Between two places; less than the size: the regions overlap. */
static inline size_t transfer_distance(size_t a, size_t b)
{
    return a > b ? a - b : b - a;
}
/* Are they one buffer, or parts of one? Then regions of theirs can overlap (§5.2.3). */
bool transfer_same_bytes(const struct mem *a, const struct mem *b);

#endif
