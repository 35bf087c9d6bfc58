/* SPDX-License-Identifier: Apache-2.0 */
/* The one way of every enqueue: see enqueue.h. */
#include "shim/enqueue.h"

#include <stdlib.h>

#include "shim/event.h"
#include "shim/hold.h"

#define FEW_WAITS 16

static cl_int check_waits(struct queue *queue, cl_uint num_waits, const cl_event *waits)
{
    if ((num_waits == 0) != (waits == NULL))
        return CL_INVALID_EVENT_WAIT_LIST;
    for (cl_uint i = 0; i < num_waits; i++) {
        struct event *event = event_check(waits[i]);
        if (!event)
            return CL_INVALID_EVENT_WAIT_LIST;
        if (event->context != queue->context)
            return CL_INVALID_CONTEXT;
    }
    return CL_SUCCESS;
}

/* The driver's events for those of the waits that are with it. Returns CL_SUCCESS, or the status
 * with which a command that waits for an ended, failed event ends itself (§5.11). */
static cl_int real_waits(cl_uint num_waits, const cl_event *waits, cl_event *real,
                         cl_uint *num_real)
{
    *num_real = 0;
    for (cl_uint i = 0; i < num_waits; i++) {
        struct event *event = event_check(waits[i]);
        if (event_place(event) == EVENT_ISSUED)
            real[(*num_real)++] = event_real(event);
        else if (atomic_load(&event->status) < 0)
            return CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
    }
    return CL_SUCCESS;
}

/* A command whose wait list has failed before it was enqueued: it never runs. */
static cl_int end_at_once(struct event *event, cl_int status, cl_bool blocking)
{
    if (event) {
        atomic_store(&event->status, status);
        atomic_store_explicit(&event->place, EVENT_ENDED, memory_order_release);
    }
    return blocking ? status : CL_SUCCESS;
}

/* An event of the driver's that has ended. */
static cl_event ended_event(const struct issue *to, cl_int *err)
{
    cl_event event = to->driver->clCreateUserEvent(context_real(to->queue->context), err);
    if (*err == CL_SUCCESS)
        *err = to->driver->clSetUserEventStatus(event, CL_COMPLETE);
    return event;
}

cl_int enqueue_issue_behind_ended(const struct command_type *type, struct issue *to, void *args)
{
    cl_int err = CL_SUCCESS;
    cl_event ended = ended_event(to, &err);
    to->waits = &ended;
    to->num_waits = 1;
    if (err == CL_SUCCESS)
        err = type->issue(to, args);
    to->waits = NULL;
    if (ended)
        RELEASE(to->driver, clReleaseEvent, ended);
    return err;
}

cl_int enqueue_bring_up(const struct command_type *type, struct issue *to, void *args)
{
    cl_int err = type->needs ? type->needs(to, args) : CL_SUCCESS;
    if (err != CL_SUCCESS && (type->flags & COMMAND_TOLD)) {
        to->failed = err;
        type->issue(to, args);
    }
    return err;
}

static cl_int issue_now(struct queue *queue, const struct command_type *type, void *args,
                        cl_bool blocking, cl_uint num_waits, const cl_event *waits,
                        struct event *event)
{
    cl_event few[FEW_WAITS], *many = NULL, real = NULL;
    if (num_waits > FEW_WAITS && !(many = malloc(num_waits * sizeof *many)))
        return CL_OUT_OF_HOST_MEMORY;
    struct issue to = {.driver = queue->object.driver,
                       .queue = queue,
                       .real = queue_real(queue),
                       .blocking = blocking,
                       .waits = many ? many : few,
                       .event = event ? &real : NULL};
    cl_int failed = real_waits(num_waits, waits, many ? many : few, &to.num_waits);
    cl_int err;
    if (failed != CL_SUCCESS) {
        to.failed = failed;
        if (type->flags & COMMAND_TOLD)
            type->issue(&to, args);
        err = end_at_once(event, failed, blocking);
    } else {
        err = enqueue_issue(type, &to, args, num_waits);
        if (event)
            event->object.real = real;
    }
    free(many);
    return err;
}

static cl_int enqueue_now(struct queue *queue, const struct command_type *type, void *args,
                          cl_bool blocking, cl_uint num_waits, const cl_event *waits,
                          cl_event *event_ret)
{
    struct event *event = NULL;
    if (event_ret) {
        event = event_create(queue->context, queue, type->type, EVENT_ISSUED);
        if (!event)
            return CL_OUT_OF_HOST_MEMORY;
    }
    cl_int err = issue_now(queue, type, args, blocking, num_waits, waits, event);
    if (err != CL_SUCCESS) {
        event_discard(event);
    } else if (event) {
        object_publish(event);
        *event_ret = (cl_event)event;
    }
    return err;
}

/* Holds the command unless, now that it is certain, it need not be held: then *held is false. The
 * driver is asked without the lock, which others' commands want too, and code of the program's that
 * runs inside the driver. */
static cl_int enqueue_held(struct queue *queue, const struct command_type *type, void *args,
                           cl_uint num_waits, const cl_event *waits, struct event **event_ret,
                           bool *held)
{
    cl_int answer = type->ask ? type->ask(queue, args) : CL_SUCCESS;
    pthread_mutex_lock(&hold_lock);
    *held = hold_needed(queue, type, num_waits, waits);
    cl_int err = *held ? answer : CL_SUCCESS;
    if (*held && err == CL_SUCCESS) {
        struct event *event = event_create(queue->context, queue, type->type, EVENT_HELD);
        err = event ? hold_command(queue, type, args, num_waits, waits, event)
                    : CL_OUT_OF_HOST_MEMORY;
        if (err == CL_SUCCESS) {
            object_publish(event);
            *event_ret = event;
        } else {
            event_discard(event);
        }
    }
    pthread_mutex_unlock(&hold_lock);
    return err;
}

static void release_event(void *event)
{
    object_release(event);
}

/* Waits, or is cancelled: then the application never gets the event. */
static cl_int wait_for_own(struct event *event)
{
    volatile cl_int err; /* the macros are a setjmp */
    pthread_cleanup_push(release_event, event);
    err = wait_for_events(1, (cl_event[]){(cl_event)event});
    pthread_cleanup_pop(false);
    return err;
}

/* Blocking calls on a held command wait here, outside of the gate. */
static cl_int finish_held(struct event *event, cl_bool blocking, cl_event *event_ret)
{
    cl_int err = blocking ? wait_for_own(event) : CL_SUCCESS;
    if (event_ret && err == CL_SUCCESS)
        *event_ret = (cl_event)event;
    else
        object_release(event);
    return err;
}

cl_int enqueue(cl_command_queue command_queue, const struct command_type *type, void *args,
               cl_bool blocking, cl_uint num_waits, const cl_event *waits, cl_event *event_ret)
{
    struct queue *queue = queue_check(command_queue);
    if (!queue)
        return CL_INVALID_COMMAND_QUEUE;
    struct event *event = NULL;
    bool held = false;
    int cancel_before = cancel_off();
    gate_enter(type->name);
    cl_int err = check_waits(queue, num_waits, waits);
    if (err == CL_SUCCESS && type->check)
        err = type->check(queue, args);
    if (err == CL_SUCCESS && hold_suspected(queue, num_waits, waits))
        err = enqueue_held(queue, type, args, num_waits, waits, &event, &held);
    if (err == CL_SUCCESS && !held)
        err = enqueue_now(queue, type, args, blocking, num_waits, waits, event_ret);
    gate_leave();
    cancel_restore(&cancel_before);
    return held && err == CL_SUCCESS ? finish_held(event, blocking, event_ret) : err;
}

bool plain_make_event(struct plain_enqueue *plain, cl_command_type type)
{
    plain->shadow = event_create(plain->queue->context, plain->queue, type, EVENT_ISSUED);
    plain->event = &plain->real;
    return plain->shadow;
}

void plain_give_event(struct plain_enqueue *plain, cl_int err, cl_event *event)
{
    if (err != CL_SUCCESS) {
        event_discard(plain->shadow);
        return;
    }
    plain->shadow->object.real = plain->real;
    object_publish(plain->shadow);
    *event = (cl_event)plain->shadow;
}

/* Inside the gate: waits for those that are with the driver. */
static cl_int wait_in_driver(cl_uint num_events, const cl_event *events)
{
    cl_event few[FEW_WAITS], *many = NULL;
    if (num_events > FEW_WAITS && !(many = malloc(num_events * sizeof *many)))
        return CL_OUT_OF_HOST_MEMORY;
    cl_event *real = many ? many : few;
    cl_uint num_real = 0;
    cl_int err = CL_SUCCESS;
    for (cl_uint i = 0; i < num_events; i++) {
        struct event *event = event_check(events[i]);
        if (event_place(event) == EVENT_ISSUED)
            real[num_real++] = event_real(event);
        else if (atomic_load(&event->status) < 0)
            err = CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
    }
    if (num_real) {
        const struct driver *driver = event_check(events[0])->context->object.driver;
        cl_int waited = driver->clWaitForEvents(num_real, real);
        err = err == CL_SUCCESS ? waited : err;
    }
    free(many);
    return err;
}

cl_int wait_for_events(cl_uint num_events, const cl_event *events)
{
    for (cl_uint i = 0; i < num_events; i++)
        if (!event_check(events[i]))
            return CL_INVALID_EVENT;
    for (cl_uint i = 1; i < num_events; i++)
        if (event_check(events[i])->context != event_check(events[0])->context)
            return CL_INVALID_CONTEXT;
    for (cl_uint i = 0; i < num_events; i++)
        hold_wait_event(event_check(events[i]));
    NOT_CANCELLED();
    GATE(clWaitForEvents);
    return wait_in_driver(num_events, events);
}
