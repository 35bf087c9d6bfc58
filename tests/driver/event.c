/* SPDX-License-Identifier: Apache-2.0 */
/* Events. */
#include "tests/driver/driver.h"

CREATE(cl_event, clCreateUserEvent, (cl_context context, cl_int *errcode_ret),
       (context, errcode_ret), context)
PASS(clSetUserEventStatus, (cl_event event, cl_int status), (event, status), event)
PASS(clSetEventCallback,
     (cl_event event, cl_int status, void(CL_CALLBACK *notify)(cl_event, cl_int, void *),
      void *user_data),
     (event, status, notify, user_data), event)
RETAIN(clRetainEvent, cl_event)
RELEASE(clReleaseEvent, cl_event)
QUERY(clGetEventInfo, cl_event, cl_event_info)

cl_int CL_API_CALL clGetEventProfilingInfo(cl_event event, cl_profiling_info param, size_t space,
                                           void *value, size_t *size_ret)
{
    cl_int err = call_begin(CALL_clGetEventProfilingInfo, devices_of(event));
    if (err == CL_SUCCESS)
        err = pocl->clGetEventProfilingInfo(event, param, space, value, size_ret);
    if (err == CL_SUCCESS && value && space >= sizeof(cl_ulong))
        *(cl_ulong *)value = device_time_of(*(cl_ulong *)value);
    return err;
}

cl_int CL_API_CALL clWaitForEvents(cl_uint num_events, const cl_event *events)
{
    unsigned mask = num_events && events ? devices_of(events[0]) : 0;
    cl_int err = call_begin(CALL_clWaitForEvents, mask);
    return err == CL_SUCCESS ? pocl->clWaitForEvents(num_events, events) : err;
}
