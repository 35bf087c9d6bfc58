/* SPDX-License-Identifier: Apache-2.0 */
/* Commands held back because they wait, directly or not, on a user event that is not set: kept in
 * one list in the order in which they were enqueued, handed to the driver in that order. */
#ifndef SHADOWCL_SHIM_HOLD_H
#define SHADOWCL_SHIM_HOLD_H

#include <pthread.h>

#include "shim/enqueue.h"

/* Guards the list, the place of events that are not with the driver, and events' callbacks. */
extern pthread_mutex_t hold_lock;

/* May a command with these waits have to be held? Cheap, without the lock; false is certain but for
 * races of the application's own making. */
static inline bool hold_suspected(struct queue *queue, cl_uint num_waits, const cl_event *waits)
{
    bool suspected = atomic_load_explicit(&queue->held, memory_order_acquire);
    for (cl_uint i = 0; i < num_waits && !suspected; i++)
        suspected = event_place((struct event *)waits[i]) <= EVENT_HELD;
    return suspected;
}
/* Must it be held? With hold_lock. */
bool hold_needed(struct queue *queue, const struct command_type *type, cl_uint num_waits,
                 const cl_event *waits);
/* Keeps the command at the list's end; with hold_lock. `event` (published or not) becomes held. */
cl_int hold_command(struct queue *queue, const struct command_type *type, const void *args,
                    cl_uint num_waits, const cl_event *waits, struct event *event);
/* Ends a user event, hands over what no longer has to wait; what has to come after a command that
 * another thread is just handing over is left to that one. Inside the gate. */
cl_int hold_end(struct event *event, cl_int status);
/* Waits (outside of the gate) until the event is with the driver or ended. */
void hold_wait_event(struct event *event);
/* Waits until nothing is held of what the queue has now. */
void hold_wait_queue(struct queue *queue);
/* How many commands are held. */
size_t hold_count(void);
void hold_forked(void);

#endif
