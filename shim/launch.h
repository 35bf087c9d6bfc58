/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of a kernel's launch. */
#ifndef SHADOWCL_SHIM_LAUNCH_H
#define SHADOWCL_SHIM_LAUNCH_H

#include "state/kernel.h"
#include "state/queue.h"

struct launch {
    struct kernel *kernel; /* the application's handle until it is checked */
    struct queue *queue;
    cl_uint dims;
    const size_t *offset, *global, *local; /* the application's; offset and local may be NULL */
    /* Of a launch that is kept: */
    struct kernel_args *args; /* owned */
    size_t kept[3][3];        /* offset, global, local */
    bool has_offset, has_local;
};

/* What the driver checks when a launch is enqueued, for one that it will get later only. */
cl_int launch_validate(const struct launch *launch);
/* For the comparison with another device: what the kernel needs is what it was launched with. */
void launch_note_group(struct kernel *kernel, cl_uint dims, const size_t *local);

#endif
