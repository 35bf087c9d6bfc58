/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of queues that the program has released while they were still running: OpenCL 3.0 §5.1
 * lets them run on. Each queue's last marker is kept until it has ended, since nobody else knows of
 * them any more: with the context, and apart once that has gone too. */
#ifndef SHADOWCL_STATE_STRAGGLER_H
#define SHADOWCL_STATE_STRAGGLER_H

#include "state/queue.h"

/* Of a driver's queue that is about to be released, this one's own or another on its device; where
 * the driver has no memory for it, waits instead. */
void straggler_add(struct queue *queue, cl_command_queue real);
/* Have all of the context's ended? Those that have are forgotten. */
bool straggler_ended(struct context *context);
/* Those of contexts that are gone. */
bool straggler_orphans_ended(void);
/* The context goes: what still runs is kept apart. */
void straggler_finish(struct context *context);
/* A thread has been left in a call of the above (shim/phase.h): what it had taken in hand is on its
 * list again. The one that the call is about stays there until the call has come back. */
void straggler_put_back(void);

#endif
