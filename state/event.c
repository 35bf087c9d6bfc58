/* SPDX-License-Identifier: Apache-2.0 */
/* Events: see event.h. */
#include "state/event.h"

#include <string.h>
#include <time.h>

#include "shim/gate.h"
#include "shim/phase.h"

struct event *event_create(struct context *context, struct queue *queue, cl_command_type type,
                           enum event_place place)
{
    /* A user event is nobody's, and made outside of the gate: the context may just get a driver. */
    const struct driver *driver = queue ? context->object.driver : NULL;
    struct event *event = object_create(KIND_EVENT, sizeof *event, driver);
    if (!event)
        return NULL;
    /* The queue holds the context. */
    event->queue = object_hold(queue);
    event->context = queue ? context : object_hold(context);
    event->type = type;
    event->timed = event_is_timed(event);
    atomic_store_explicit(&event->place, place, memory_order_relaxed);
    atomic_store_explicit(&event->status, queue ? CL_QUEUED : CL_SUBMITTED, memory_order_relaxed);
    return event;
}

static void drop_owner(struct event *event)
{
    if (event->queue)
        object_drop(event->queue);
    else
        object_drop(event->context);
}

void event_discard(struct event *event)
{
    if (!event)
        return;
    drop_owner(event);
    object_discard(event);
}

void event_destroy(void *object)
{
    struct event *event = object;
    if (event->object.real)
        RELEASE(event->object.driver, clReleaseEvent, event->object.real);
    event->object.real = NULL;
    drop_owner(event);
}

/* The real event's status, waiting for the driver's bookkeeping to catch up with its queue. */
static cl_int final_status(struct event *event, int64_t deadline, struct error *err)
{
    for (long pause = 1000;; pause = pause < 1000000 ? pause * 2 : pause) {
        cl_int status = CL_QUEUED;
        cl_int code = CALL(event->object.driver->clGetEventInfo(
            event_real(event), CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
        if (code != CL_SUCCESS)
            return error_set(err, 0, "the driver does not answer for its status (%d)", code), 1;
        if (status <= CL_COMPLETE)
            return status;
        if (now_ns() > deadline)
            return error_set(err, 0, "its command has not ended at the deadline"), 1;
        nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
    }
}

static cl_int ask_time(struct event *event, unsigned which)
{
    cl_ulong time = 0;
    cl_int code = CALL(event->object.driver->clGetEventProfilingInfo(
        event_real(event), CL_PROFILING_COMMAND_QUEUED + which, sizeof time, &time, NULL));
    event->times[which] = time;
    return code;
}

/* A driver may have no times for a command that failed, and none of CL_PROFILING_COMMAND_COMPLETE.
 * One that has none for what it completed is told of, see device->no_times. */
static int take_times(struct event *event, cl_int status, struct error *err)
{
    struct device *device = event->queue->device;
    for (unsigned i = 0; i < 5; i++) {
        cl_int code = ask_time(event, i);
        if (i == 0 && code == CL_PROFILING_INFO_NOT_AVAILABLE) {
            device->no_times |= status == CL_COMPLETE;
            return 0;
        }
        if (code == CL_PROFILING_INFO_NOT_AVAILABLE || code == CL_INVALID_VALUE)
            event->times[i] = i ? event->times[i - 1] : 0;
        else if (code != CL_SUCCESS)
            return error_set(err, 0, "the driver does not tell its times (%d)", code);
        else
            event->times[i] = timer_event(device_clock(device), event->times[i]);
    }
    event->profiled = true;
    return 0;
}

int event_capture(struct event *event, int64_t deadline, struct error *err)
{
    if (event_place(event) != EVENT_ISSUED)
        return 0;
    cl_int status = final_status(event, deadline, err);
    if (status > CL_COMPLETE)
        return error_todo(err, "allow more time with --deadline");
    if (event->timed && take_times(event, status, err) != 0)
        return -1;
    atomic_store(&event->status, status);
    atomic_store_explicit(&event->place, EVENT_ENDED, memory_order_release);
    return 0;
}

void event_let_go(struct event *event)
{
    cl_event real = event_real(event);
    event->object.real = NULL;
    CALL_RELEASE(event->object.driver, clReleaseEvent, real);
}
