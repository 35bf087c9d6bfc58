/* SPDX-License-Identifier: Apache-2.0 */
/* The drain: a marker at the end of every queue, and a look at each until the deadline. A finish
 * would not come back from a kernel that hangs. */
#include "shim/drain.h"

#include <stdlib.h>
#include <time.h>

#include "shim/gate.h"
#include "shim/objects.h"
#include "shim/phase.h"
#include "state/straggler.h"

struct marker {
    const struct driver *driver;
    const struct object *queue;
    cl_event event; /* the driver's */
};

struct markers {
    struct leftover leftover;
    size_t count;
    struct marker list[];
};

static int give_up(struct error *err)
{
    pid_t native = gate_lent_thread(ANY_LENDING);
    if (native)
        error_set(
            err, 0,
            "a native kernel or SVM free function of the program still runs, in thread %d, at "
            "the deadline",
            native);
    else
        error_set(err, 0, "its commands are still running at the deadline");
    return error_todo(err, "allow more time with --deadline, or try again later");
}

int drain_wait(long *pause, const struct patience *patience, struct error *err)
{
    if (now_ns() > patience->deadline)
        return give_up(err);
    if (patience->give_up && patience->give_up(patience->data))
        return error_set(err, 0, "nobody waits for it any more");
    nanosleep(&(struct timespec){.tv_nsec = *pause}, NULL);
    *pause = *pause < 1000000 ? *pause * 2 : *pause;
    return 0;
}

/* 1: has ended, 0: not yet. A failed command has ended too. */
static int has_ended(const struct marker *marker, struct error *err)
{
    cl_int status = CL_QUEUED;
    cl_int code = CALL(marker->driver->clGetEventInfo(
        marker->event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
    if (code != CL_SUCCESS)
        return error_set(err, 0, "the driver does not answer for what runs in it (%d)", code);
    return status <= CL_COMPLETE;
}

static int wait_for(const struct marker *marker, const struct patience *patience, struct error *err)
{
    IN_DRIVER(marker->driver->library, marker->queue, false);
    for (long pause = 2000;;) {
        int ended = has_ended(marker, err);
        if (ended)
            return ended < 0 ? -1 : 0;
        if (drain_wait(&pause, patience, err) != 0)
            return -1;
    }
}

static int add_marker(const struct driver *driver, cl_command_queue real, struct marker *marker,
                      struct error *err)
{
    IN_DRIVER(driver->library, marker->queue, false);
    marker->driver = driver;
    cl_int status = CALL(driver->clEnqueueMarkerWithWaitList(real, 0, NULL, &marker->event));
    if (status != CL_SUCCESS) {
        marker->event = NULL;
        return error_set(err, 0, "clEnqueueMarkerWithWaitList failed (%d)", status);
    }
    status = CALL(driver->clFlush(real));
    return status == CL_SUCCESS ? 0 : error_set(err, 0, "clFlush failed (%d)", status);
}

static void name_queue(const struct object *queue, struct error *err)
{
    object_describe(queue, err->object, sizeof err->object);
}

static int drain_stragglers(struct context *context, const struct patience *patience,
                            struct error *err)
{
    int result = 0;
    for (long pause = 2000; result == 0 && !straggler_ended(context);)
        result = drain_wait(&pause, patience, err);
    if (result != 0)
        error_object(err, "a released queue of context %llu",
                     (unsigned long long)context->object.serial);
    return result;
}

static int drain_orphans(const struct patience *patience, struct error *err)
{
    int result = 0;
    for (long pause = 2000; result == 0 && !straggler_orphans_ended();)
        result = drain_wait(&pause, patience, err);
    if (result != 0)
        error_object(err, "a released queue of a released context");
    return result;
}

static int mark_all(struct object *const *objects, size_t count, struct markers *markers,
                    struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct queue *queue = (struct queue *)objects[i];
        if (objects[i]->was != KIND_QUEUE || (queue->flags & CL_QUEUE_ON_DEVICE))
            continue;
        struct marker *marker = &markers->list[markers->count];
        marker->queue = objects[i];
        atomic_fetch_add(&queue->flushes, 1);
        int result = add_marker(queue->object.driver, queue_real(queue), marker, err);
        markers->count += marker->event != NULL;
        if (result != 0) {
            name_queue(marker->queue, err);
            return -1;
        }
    }
    return 0;
}

static void release_markers(struct markers *markers)
{
    while (markers->count) {
        struct marker *marker = &markers->list[--markers->count];
        cl_event event = marker->event;
        IN_DRIVER(marker->driver->library, marker->queue, false);
        marker->event = NULL;
        CALL_RELEASE(marker->driver, clReleaseEvent, event);
    }
    phase_gave(&markers->leftover);
    free(markers);
}

/* One that is not counted yet may have come of the very call. */
static void give_back(struct leftover *leftover)
{
    struct markers *markers = (struct markers *)leftover;
    markers->count += markers->list[markers->count].event != NULL;
    release_markers(markers);
}

static struct markers *make_markers(size_t most)
{
    /* (One more than is used, without an event.) */
    struct markers *markers = calloc(1, sizeof *markers + (most + 1) * sizeof *markers->list);
    if (markers) {
        markers->leftover.give_back = give_back;
        phase_keeps(&markers->leftover);
    }
    return markers;
}

int drain_queues(struct object *const *objects, size_t count, const struct patience *patience,
                 struct error *err)
{
    struct markers *markers = make_markers(count);
    if (!markers)
        return error_set(err, 0, "no memory for the drain");
    int result = mark_all(objects, count, markers, err);
    for (size_t i = 0; i < markers->count && result == 0; i++) {
        result = wait_for(&markers->list[i], patience, err);
        if (result != 0)
            name_queue(markers->list[i].queue, err);
    }
    release_markers(markers);
    for (size_t i = 0; i < count && result == 0; i++)
        if (objects[i]->was == KIND_CONTEXT)
            result = drain_stragglers((struct context *)objects[i], patience, err);
    return result == 0 ? drain_orphans(patience, err) : result;
}

int drain_native(const struct patience *patience, struct error *err)
{
    int result = 0;
    uint64_t latest = gate_lendings();
    for (long pause = 2000; result == 0 && gate_lent_thread(latest);)
        result = drain_wait(&pause, patience, err);
    if (result != 0)
        error_object(err, "a native kernel");
    return result;
}
