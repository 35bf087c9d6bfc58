/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver thinks of a command that it gets later only, where the specification leaves it to
 * the driver, or to its version: it is asked by a command that changes nothing, on a queue that is
 * there for that alone. So a command that is held back is refused at its call just where one that
 * is not would be. Inside the gate. */
#ifndef SHADOWCL_SHIM_ASK_H
#define SHADOWCL_SHIM_ASK_H

#include "shim/enqueue.h"
#include "state/mem.h"

typedef cl_int ask_command(const struct issue *to, void *args);

/* Of a command on nothing: the driver gets it. */
cl_int ask_empty(struct queue *queue, ask_command *issue, void *args);
/* CL_MISALIGNED_SUB_BUFFER_OFFSET where the driver says so of commands on this sub-buffer in that
 * queue; of anything else, and NULL, CL_SUCCESS. */
cl_int ask_alignment(struct queue *queue, struct mem *mem);
/* Whether it takes a map with these flags: drivers do with some that the specification forbids. */
cl_int ask_map_flags(struct queue *queue, cl_map_flags flags);

#endif
