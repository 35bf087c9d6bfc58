/* SPDX-License-Identifier: Apache-2.0 */
/* Command queues, with the properties they were made with. */
#ifndef SHADOWCL_STATE_QUEUE_H
#define SHADOWCL_STATE_QUEUE_H

#include "state/context.h"
#include "state/roster.h"

struct queue {
    struct object object;
    struct context *context;         /* held */
    struct device *device;           /* held */
    cl_queue_properties *properties; /* owned, as given, 0-terminated; NULL: clCreateCommandQueue */
    size_t num_properties;           /* words, the 0 included */
    cl_command_queue_properties flags;
    cl_uint size;          /* of a queue on the device, bytes */
    _Atomic unsigned held; /* commands of it that are held back (shim/hold.c) */
    unsigned barriers;     /* among them: this and the next two are guarded by hold_lock */
    uint64_t blocked_in;   /* of shim/hold.c's passes */
    uint64_t barrier_in;
    struct member member; /* of queue_roster */
    /* How often it was flushed by us, and not by the program; and when it was last finished. */
    _Atomic unsigned flushes, finished;
};

extern struct roster queue_roster;

static inline struct queue *queue_check(cl_command_queue handle)
{
    return object_check(handle, KIND_QUEUE);
}

static inline cl_command_queue queue_real(const struct queue *queue)
{
    return queue->object.real;
}

/* What the program has not asked for, see queue_finish. */
static inline cl_int queue_flush(struct queue *queue)
{
    atomic_fetch_add(&queue->flushes, 1);
    return queue->object.driver->clFlush(queue_real(queue));
}

static inline bool queue_in_order(const struct queue *queue)
{
    return !(queue->flags & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE);
}

/* All queues of the program, while it runs. */
void queue_flush_all(void);
/* clFinish, also of what we have flushed: rusticl 22.3 waits only for what comes after a flush. */
cl_int queue_finish(struct queue *queue);
/* clCreateCommandQueueWithProperties, or the extension that drivers before 2.0 may have instead;
 * CL_INVALID_OPERATION without both. The driver's handles. */
cl_command_queue queue_make(const struct driver *driver, cl_context context, cl_device_id device,
                            const cl_queue_properties *properties, cl_int *status);
/* §5.13: where a driver has no other way to look at its device's clock after a rebuild, a command
 * of a queue that keeps times tells it, before any of the program's does. Waits for that command.
 */
void queue_read_clock(struct queue *queue);
/* A new shadow, not yet published, without a real queue: holds context and device, copies the
 * properties (NULL: none, `flags` count). NULL without memory. */
struct queue *queue_create(struct context *context, struct device *device,
                           const cl_queue_properties *properties,
                           cl_command_queue_properties flags);
int queue_carriable(const struct queue *queue, struct error *err);
void queue_release(struct queue *queue);
int queue_rebuild(struct queue *queue, struct error *err);

#endif
