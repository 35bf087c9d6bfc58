/* SPDX-License-Identifier: Apache-2.0 */
/* Events. Those of spoiled commands have ended to pocl, and have failed to whoever asks us. */
#include "tests/driver/driver.h"

#include <stdlib.h>
#include <time.h>

struct spoiled {
    cl_event event;
    cl_int error;
    unsigned refs; /* that the application has */
    struct spoiled *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct spoiled *all; /* guarded by lock */

static struct spoiled *find(cl_event event)
{
    struct spoiled *it = all;
    while (it && it->event != event)
        it = it->next;
    return it;
}

/* With what it ends; CL_COMPLETE: as pocl says. */
static cl_int error_of(cl_event event)
{
    pthread_mutex_lock(&lock);
    const struct spoiled *it = find(event);
    cl_int error = it ? it->error : CL_COMPLETE;
    pthread_mutex_unlock(&lock);
    return error;
}

static void count_refs(cl_event event, int change)
{
    pthread_mutex_lock(&lock);
    struct spoiled *it = find(event), **link = &all;
    if (it && (it->refs += (unsigned)change) == 0) {
        while (*link != it)
            link = &(*link)->next;
        *link = it->next;
        free(it);
    }
    pthread_mutex_unlock(&lock);
}

cl_int spoil_command(cl_command_queue queue, cl_int error, cl_uint num_waits, const cl_event *waits,
                     cl_event *event)
{
    struct spoiled *it = malloc(sizeof *it);
    cl_event done;
    cl_int err = it ? pocl->clEnqueueMarkerWithWaitList(queue, num_waits, waits, &done)
                    : CL_OUT_OF_HOST_MEMORY;
    if (err != CL_SUCCESS || !event) {
        free(it);
        return err == CL_SUCCESS ? pocl->clReleaseEvent(done) : err;
    }
    *event = adopt(done);
    pthread_mutex_lock(&lock);
    *it = (struct spoiled){done, error, 1, all};
    all = it;
    pthread_mutex_unlock(&lock);
    return CL_SUCCESS;
}

struct told {
    void(CL_CALLBACK *notify)(cl_event, cl_int, void *);
    void *user_data;
    cl_int error;
    long late; /* milliseconds */
    cl_event event;
    cl_int status;
};

enum { MOST_LATE = 64 };
static pthread_t late_threads[MOST_LATE]; /* guarded by lock */
static unsigned num_late;

static void *tell(void *data)
{
    struct told *told = data;
    if (told->late)
        nanosleep(&(struct timespec){told->late / 1000, told->late % 1000 * 1000000}, NULL);
    told->notify(told->event, told->status, told->user_data);
    pocl->clReleaseEvent(told->event);
    free(told);
    return NULL;
}

static bool start_late(struct told *told)
{
    pthread_mutex_lock(&lock);
    bool started =
        num_late < MOST_LATE && pthread_create(&late_threads[num_late], NULL, tell, told) == 0;
    num_late += started;
    pthread_mutex_unlock(&lock);
    return started;
}

/* Late is later than whatever waits for the command itself: pocl has that wait for callbacks. */
static void CL_CALLBACK pocl_says(cl_event event, cl_int status, void *data)
{
    struct told *told = data;
    told->status = told->error == CL_COMPLETE ? status : told->error;
    pocl->clRetainEvent(event); /* until it has been told */
    if (!told->late || !start_late(told)) {
        told->late = 0;
        tell(told);
    }
}

/* They have no code to go on with once we are unloaded. */
__attribute__((destructor)) static void wait_for_late(void)
{
    for (unsigned i = 0; i < num_late; i++)
        pthread_join(late_threads[i], NULL);
}

cl_int CL_API_CALL clSetEventCallback(cl_event event, cl_int status,
                                      void(CL_CALLBACK *notify)(cl_event, cl_int, void *),
                                      void *user_data)
{
    cl_int err = call_begin(CALL_clSetEventCallback, devices_of(event)), error = error_of(event);
    long late = faults_late();
    if (err != CL_SUCCESS || (error == CL_COMPLETE && !late))
        return err == CL_SUCCESS ? pocl->clSetEventCallback(event, status, notify, user_data) : err;
    struct told *told = malloc(sizeof *told);
    if (!told)
        return CL_OUT_OF_HOST_MEMORY;
    *told = (struct told){notify, user_data, error, late, event, CL_QUEUED};
    return pocl->clSetEventCallback(event, error == CL_COMPLETE ? status : CL_COMPLETE, pocl_says,
                                    told);
}

CREATE(cl_event, clCreateUserEvent, (cl_context context, cl_int *errcode_ret),
       (context, errcode_ret), context)
PASS(clSetUserEventStatus, (cl_event event, cl_int status), (event, status), event)

cl_int CL_API_CALL clRetainEvent(cl_event event)
{
    cl_int err = call_begin(CALL_clRetainEvent, devices_of(event));
    if (err == CL_SUCCESS)
        count_refs(event, 1);
    return err == CL_SUCCESS ? pocl->clRetainEvent(event) : err;
}

cl_int CL_API_CALL clReleaseEvent(cl_event event)
{
    cl_int err = call_begin(CALL_clReleaseEvent, 0);
    if (err == CL_SUCCESS)
        count_refs(event, -1);
    return err == CL_SUCCESS ? pocl->clReleaseEvent(event) : err;
}

cl_int CL_API_CALL clGetEventInfo(cl_event event, cl_event_info param, size_t space, void *value,
                                  size_t *size_ret)
{
    cl_int err = call_begin(CALL_clGetEventInfo, devices_of(event)), error = error_of(event);
    if (err == CL_SUCCESS)
        err = pocl->clGetEventInfo(event, param, space, value, size_ret);
    if (err == CL_SUCCESS && param == CL_EVENT_COMMAND_EXECUTION_STATUS && value &&
        *(cl_int *)value == CL_COMPLETE)
        *(cl_int *)value = error;
    return err;
}

static bool tells_times(cl_event event)
{
    cl_command_queue queue = NULL;
    cl_ulong queued = 0;
    pocl->clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_QUEUED, sizeof queued, &queued, NULL);
    return !device_has_no_clock() &&
           pocl->clGetEventInfo(event, CL_EVENT_COMMAND_QUEUE, sizeof queue, &queue, NULL) ==
               CL_SUCCESS &&
           queue_tells_times(queue, queued);
}

cl_int CL_API_CALL clGetEventProfilingInfo(cl_event event, cl_profiling_info param, size_t space,
                                           void *value, size_t *size_ret)
{
    cl_int err = call_begin(CALL_clGetEventProfilingInfo, devices_of(event));
    if (err == CL_SUCCESS && !tells_times(event))
        err = CL_PROFILING_INFO_NOT_AVAILABLE;
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
    if (err == CL_SUCCESS)
        err = pocl->clWaitForEvents(num_events, events);
    for (cl_uint i = 0; events && i < num_events && err == CL_SUCCESS; i++)
        if (error_of(events[i]) != CL_COMPLETE)
            err = CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
    return err;
}
