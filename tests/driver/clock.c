/* SPDX-License-Identifier: Apache-2.0 */
/* The devices' clock: see SHADOWCL_TEST_CLOCK. */
#include "tests/driver/driver.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

bool device_has_no_clock(void)
{
    const char *clock = getenv("SHADOWCL_TEST_CLOCK");
    return clock && !strcmp(clock, "none");
}

static cl_ulong nanoseconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (cl_ulong)now.tv_sec * 1000000000 + (cl_ulong)now.tv_nsec;
}

/* pocl 3.1 takes its events' times from CLOCK_MONOTONIC_RAW, and has no timers. */
static cl_ulong loaded_at;

cl_ulong event_time_now(void)
{
    return nanoseconds(CLOCK_MONOTONIC_RAW);
}

static __attribute__((constructor)) void note_load(void)
{
    loaded_at = event_time_now();
}

cl_ulong device_time_of(cl_ulong time)
{
    const char *clock = getenv("SHADOWCL_TEST_CLOCK");
    return clock && !strcmp(clock, "restart") ? time - loaded_at : time;
}

cl_ulong device_time_now(void)
{
    return device_time_of(event_time_now());
}

cl_int CL_API_CALL clGetDeviceAndHostTimer(cl_device_id id, cl_ulong *device_time,
                                           cl_ulong *host_time)
{
    cl_int err = call_begin(CALL_clGetDeviceAndHostTimer, devices_of(id));
    if (err == CL_SUCCESS && device_has_no_clock())
        err = CL_INVALID_OPERATION;
    if (err == CL_SUCCESS && (!device_time || !host_time))
        err = CL_INVALID_VALUE;
    if (err != CL_SUCCESS)
        return err;
    *device_time = device_time_now();
    *host_time = nanoseconds(CLOCK_MONOTONIC);
    return CL_SUCCESS;
}

cl_int CL_API_CALL clGetHostTimer(cl_device_id id, cl_ulong *host_time)
{
    cl_int err = call_begin(CALL_clGetHostTimer, devices_of(id));
    if (err == CL_SUCCESS && device_has_no_clock())
        err = CL_INVALID_OPERATION;
    if (err == CL_SUCCESS && !host_time)
        err = CL_INVALID_VALUE;
    if (err == CL_SUCCESS)
        *host_time = nanoseconds(CLOCK_MONOTONIC);
    return err;
}
