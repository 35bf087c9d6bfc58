/* SPDX-License-Identifier: Apache-2.0 */
/* The drain: a marker at the end of every queue, and a look at each until the deadline. A finish
 * would not come back from a kernel that hangs. */
#include "shim/drain.h"

#include <stdlib.h>
#include <time.h>

#include "shim/gate.h"
#include "state/queue.h"

struct marker {
    struct queue *queue;
    cl_event event; /* the driver's */
};

/* 1: has ended, 0: not yet. A failed command has ended too. */
static int has_ended(const struct marker *marker, struct error *err)
{
    cl_int status = CL_QUEUED;
    cl_int code = marker->queue->object.driver->clGetEventInfo(
        marker->event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL);
    if (code != CL_SUCCESS)
        return error_set(err, 0, "the driver does not answer for what runs in it (%d)", code);
    return status <= CL_COMPLETE;
}

static int wait_for(const struct marker *marker, int64_t deadline, struct error *err)
{
    for (long pause = 2000;; pause = pause < 1000000 ? pause * 2 : pause) {
        int ended = has_ended(marker, err);
        if (ended)
            return ended < 0 ? -1 : 0;
        if (now_ns() > deadline) {
            pid_t native = gate_lent_thread();
            if (native)
                error_set(err, 0,
                          "a native kernel or SVM free function of the program still runs, "
                          "in thread %d, at the deadline",
                          native);
            else
                error_set(err, 0, "its commands are still running at the deadline");
            return error_todo(err, "allow more time with --deadline, or try again later");
        }
        nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
    }
}

static int add_marker(struct queue *queue, struct marker *marker, struct error *err)
{
    const struct driver *driver = queue->object.driver;
    marker->queue = queue;
    cl_int status = driver->clEnqueueMarkerWithWaitList(queue_real(queue), 0, NULL, &marker->event);
    if (status != CL_SUCCESS)
        return error_set(err, 0, "clEnqueueMarkerWithWaitList failed (%d)", status);
    status = driver->clFlush(queue_real(queue));
    return status == CL_SUCCESS ? 0 : error_set(err, 0, "clFlush failed (%d)", status);
}

int drain_queues(struct object *const *objects, size_t count, int64_t deadline, struct error *err)
{
    struct marker *markers = calloc(count + 1, sizeof *markers);
    size_t num_markers = 0;
    int result = 0;
    if (!markers)
        return error_set(err, 0, "no memory for the drain");
    for (size_t i = 0; i < count && result == 0; i++) {
        struct queue *queue = (struct queue *)objects[i];
        if (objects[i]->was != KIND_QUEUE || (queue->flags & CL_QUEUE_ON_DEVICE))
            continue;
        result = add_marker(queue, &markers[num_markers], err);
        num_markers += markers[num_markers].event != NULL;
        if (result != 0)
            error_object(err, "queue %llu", (unsigned long long)objects[i]->serial);
    }
    for (size_t i = 0; i < num_markers && result == 0; i++) {
        result = wait_for(&markers[i], deadline, err);
        if (result != 0)
            error_object(err, "queue %llu", (unsigned long long)markers[i].queue->object.serial);
    }
    for (size_t i = 0; i < num_markers; i++)
        RELEASE(markers[i].queue->object.driver, clReleaseEvent, markers[i].event);
    free(markers);
    return result;
}
