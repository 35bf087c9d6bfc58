/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.12: markers, barriers, and waiting for events, also by their deprecated names. */
#include "shim/enqueue.h"
#include "shim/export.h"

/* They have no arguments of their own; a byte keeps the struct legal. */
struct none {
    char unused;
};

static cl_int marker_issue(const struct issue *to, void *args)
{
    return to->driver->clEnqueueMarkerWithWaitList(to->real, to->num_waits, to->waits, to->event);
}

static const struct command_type marker_type = {.name = "clEnqueueMarkerWithWaitList",
                                                .type = CL_COMMAND_MARKER,
                                                .flags = COMMAND_WAITS_ALL,
                                                .size = sizeof(struct none),
                                                .issue = marker_issue};

EXPORT cl_int CL_API_CALL clEnqueueMarkerWithWaitList(cl_command_queue command_queue,
                                                      cl_uint num_events_in_wait_list,
                                                      const cl_event *event_wait_list,
                                                      cl_event *event)
{
    struct none args = {0};
    return enqueue(command_queue, &marker_type, &args, CL_FALSE, num_events_in_wait_list,
                   event_wait_list, event);
}

EXPORT cl_int CL_API_CALL clEnqueueMarker(cl_command_queue command_queue, cl_event *event)
{
    struct none args = {0};
    if (!event)
        return CL_INVALID_VALUE;
    return enqueue(command_queue, &marker_type, &args, CL_FALSE, 0, NULL, event);
}

static cl_int barrier_issue(const struct issue *to, void *args)
{
    return to->driver->clEnqueueBarrierWithWaitList(to->real, to->num_waits, to->waits, to->event);
}

static const struct command_type barrier_type = {.name = "clEnqueueBarrierWithWaitList",
                                                 .type = CL_COMMAND_BARRIER,
                                                 .flags = COMMAND_WAITS_ALL | COMMAND_BARRIER,
                                                 .size = sizeof(struct none),
                                                 .issue = barrier_issue};

EXPORT cl_int CL_API_CALL clEnqueueBarrierWithWaitList(cl_command_queue command_queue,
                                                       cl_uint num_events_in_wait_list,
                                                       const cl_event *event_wait_list,
                                                       cl_event *event)
{
    struct none args = {0};
    return enqueue(command_queue, &barrier_type, &args, CL_FALSE, num_events_in_wait_list,
                   event_wait_list, event);
}

EXPORT cl_int CL_API_CALL clEnqueueBarrier(cl_command_queue command_queue)
{
    struct none args = {0};
    return enqueue(command_queue, &barrier_type, &args, CL_FALSE, 0, NULL, NULL);
}

/* OpenCL 1.1 §5.10: what comes later waits for these events; its errors have other names. */
EXPORT cl_int CL_API_CALL clEnqueueWaitForEvents(cl_command_queue command_queue, cl_uint num_events,
                                                 const cl_event *event_list)
{
    struct none args = {0};
    if (!num_events || !event_list)
        return CL_INVALID_VALUE;
    cl_int err =
        enqueue(command_queue, &barrier_type, &args, CL_FALSE, num_events, event_list, NULL);
    return err == CL_INVALID_EVENT_WAIT_LIST ? CL_INVALID_EVENT : err;
}
