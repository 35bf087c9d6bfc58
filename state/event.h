/* SPDX-License-Identifier: Apache-2.0 */
/* Events. The driver's event is kept only until the command has ended: then status and profiling
 * times lie here. User events, and events of commands held back, never have one before. */
#ifndef SHADOWCL_STATE_EVENT_H
#define SHADOWCL_STATE_EVENT_H

#include "state/queue.h"

enum event_place {
    EVENT_UNSET,  /* a user event that is not set */
    EVENT_HELD,   /* of a command that is held back */
    EVENT_ISSUED, /* the driver has it: `real` */
    EVENT_ENDED,  /* `status` is final: CL_COMPLETE or negative */
};

typedef void(CL_CALLBACK *event_notify)(cl_event event, cl_int status, void *data);

struct event {
    struct object object;
    struct context *context; /* held, by the queue where there is one */
    struct queue *queue;     /* held; NULL: user event */
    cl_command_type type;
    _Atomic uint32_t place; /* enum event_place */
    _Atomic cl_int status;  /* once ended */
    bool timed;    /* its queue had profiling, when it was enqueued and when the driver got it */
    bool profiled; /* the times below are there */
    cl_ulong times[5];                /* CL_PROFILING_COMMAND_QUEUED … COMPLETE, ns */
    struct event_callback *callbacks; /* owned; guarded by the hold lock (shim/hold.c) */
};

static inline struct event *event_check(cl_event handle)
{
    return object_check(handle, KIND_EVENT);
}

static inline cl_event event_real(const struct event *event)
{
    return event->object.real;
}

static inline enum event_place event_place(struct event *event)
{
    return (enum event_place)atomic_load_explicit(&event->place, memory_order_acquire);
}

/* A new event, not yet published; holds the queue or else the context. NULL without memory. */
struct event *event_create(struct context *context, struct queue *queue, cl_command_type type,
                           enum event_place place);
void event_discard(struct event *event);
/* Has its queue profiling, as of now? */
static inline bool event_is_timed(const struct event *event)
{
    return event->queue && (event->queue->flags & CL_QUEUE_PROFILING_ENABLE);
}

/* Takes what the driver knows of an event that has ended (the queue was drained). Waits for an
 * event that is not marked as ended yet, at most until the deadline. */
int event_capture(struct event *event, int64_t deadline, struct error *err);
/* After that: nobody needs the real one any more. */
void event_let_go(struct event *event);

#endif
