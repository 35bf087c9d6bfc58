/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.11 Event objects, and §5.13 Profiling. */
#include "shim/event.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "shim/callback.h"
#include "shim/export.h"
#include "shim/gate.h"
#include "shim/hold.h"
#include "shim/unheard.h"

/* One clSetEventCallback. It belongs to the event's list and, once armed, to the driver's callback
 * too, or to the thread that looks instead; whoever comes first posts it. */
struct event_callback {
    struct post post;
    struct unheard unheard;
    struct event_callback *next; /* in the event's list, oldest first; guarded by hold_lock */
    struct event_callback *next_to_arm; /* of those that nobody else can come to */
    struct event *event;                /* held */
    event_notify function;
    void *data;
    cl_int type;
    cl_int status; /* to be told */
    atomic_flag posted;
    _Atomic int users; /* the post, and the driver once armed, or who looks instead */
};

static void callback_unref(struct event_callback *callback)
{
    if (atomic_fetch_sub(&callback->users, 1) == 1)
        free(callback);
}

static void unlink_callback(struct event_callback *callback)
{
    pthread_mutex_lock(&hold_lock);
    for (struct event_callback **p = &callback->event->callbacks; *p; p = &(*p)->next)
        if (*p == callback) {
            *p = callback->next;
            break;
        }
    pthread_mutex_unlock(&hold_lock);
}

static void run_callback(struct post *post)
{
    struct event_callback *callback = (struct event_callback *)post;
    callback->function((cl_event)callback->event, callback->status, callback->data);
    unlink_callback(callback);
    object_drop(callback->event);
    callback_unref(callback);
}

static void post_once(struct event_callback *callback, cl_int status)
{
    if (atomic_flag_test_and_set(&callback->posted))
        return;
    callback->status = status < 0 ? status : callback->type;
    callback_post(&callback->post);
}

static void CL_CALLBACK driver_says(cl_event real, cl_int status, void *data)
{
    post_once(data, status);
    callback_unref(data);
}

static cl_int arm(struct event *event, struct event_callback *callback)
{
    atomic_fetch_add(&callback->users, 1);
    cl_int err = event->object.driver->clSetEventCallback(event_real(event), callback->type,
                                                          driver_says, callback);
    if (err != CL_SUCCESS)
        atomic_fetch_sub(&callback->users, 1); /* not the last: the post is still there */
    return err;
}

bool event_has_come_to(struct event *event, cl_int type, cl_int *status)
{
    *status = atomic_load(&event->status);
    if (event_place(event) != EVENT_ISSUED)
        return true;
    return event->object.driver->clGetEventInfo(event_real(event),
                                                CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof *status,
                                                status, NULL) == CL_SUCCESS &&
           *status <= type;
}

static bool look(struct unheard *unheard)
{
    struct event_callback *callback =
        (struct event_callback *)((char *)unheard - offsetof(struct event_callback, unheard));
    cl_int status;
    if (!event_has_come_to(callback->event, callback->type, &status))
        return false;
    post_once(callback, status);
    object_drop(callback->event);
    callback_unref(callback);
    return true;
}

struct event_callback *event_issued(struct event *event, cl_event real)
{
    struct event_callback *first = NULL, **last = &first;
    event->object.real = real;
    event->timed = event->timed && event_is_timed(event);
    atomic_store_explicit(&event->place, EVENT_ISSUED, memory_order_release);
    for (struct event_callback *c = event->callbacks; c; c = c->next) {
        c->next_to_arm = NULL;
        *last = c;
        last = &c->next_to_arm;
    }
    return first;
}

void event_arm_callbacks(struct event *event, struct event_callback *first)
{
    for (struct event_callback *c = first, *next; c; c = next) {
        next = c->next_to_arm;
        if (arm(event, c) == CL_SUCCESS)
            continue;
        atomic_fetch_add(&c->users, 1);
        object_hold(event);
        c->unheard.look = look;
        unheard_add(&c->unheard);
    }
}

void event_post_callbacks(struct event *event)
{
    for (struct event_callback *c = event->callbacks; c; c = c->next)
        post_once(c, atomic_load(&event->status));
}

static struct event_callback *create_callback(struct event *event, cl_int type,
                                              event_notify function, void *data)
{
    struct event_callback *callback = calloc(1, sizeof *callback);
    if (!callback || !callback_prepare()) {
        free(callback);
        return NULL;
    }
    callback->post.run = run_callback;
    callback->event = object_hold(event);
    callback->function = function;
    callback->data = data;
    callback->type = type;
    atomic_store(&callback->users, 1);
    return callback;
}

/* Puts it into the event's list. True: the driver has the event, and is to be told; else whoever
 * gives the command to it tells it, or nobody has to. */
static bool link_callback(struct event *event, struct event_callback *callback)
{
    pthread_mutex_lock(&hold_lock);
    enum event_place place = event_place(event);
    struct event_callback **last = &event->callbacks;
    while (*last)
        last = &(*last)->next;
    *last = callback;
    if (place == EVENT_UNSET && callback->type == CL_SUBMITTED)
        post_once(callback, CL_SUBMITTED); /* §5.11.1: a user event begins as submitted */
    else if (place == EVENT_ENDED)
        post_once(callback, atomic_load(&event->status));
    pthread_mutex_unlock(&hold_lock);
    return place == EVENT_ISSUED;
}

static cl_int add_callback(struct event *event, cl_int type, event_notify function, void *data)
{
    struct event_callback *callback = create_callback(event, type, function, data);
    if (!callback)
        return CL_OUT_OF_HOST_MEMORY;
    cl_int err = link_callback(event, callback) ? arm(event, callback) : CL_SUCCESS;
    if (err != CL_SUCCESS) {
        unlink_callback(callback);
        object_drop(event);
        callback_unref(callback);
    }
    return err;
}

EXPORT cl_int CL_API_CALL clSetEventCallback(cl_event event, cl_int command_exec_callback_type,
                                             event_notify pfn_notify, void *user_data)
{
    if (!event_check(event))
        return CL_INVALID_EVENT;
    if (!pfn_notify || command_exec_callback_type < CL_COMPLETE ||
        command_exec_callback_type > CL_SUBMITTED)
        return CL_INVALID_VALUE;
    GATE(clSetEventCallback);
    return add_callback(event_check(event), command_exec_callback_type, pfn_notify, user_data);
}

EXPORT cl_event CL_API_CALL clCreateUserEvent(cl_context context, cl_int *errcode_ret)
{
    struct event *event = NULL;
    cl_int status = CL_INVALID_CONTEXT;
    if (context_check(context)) {
        event = event_create(context_check(context), NULL, CL_COMMAND_USER, EVENT_UNSET);
        status = event ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
    }
    if (event)
        object_publish(event);
    if (errcode_ret)
        *errcode_ret = status;
    return (cl_event)event;
}

EXPORT cl_int CL_API_CALL clSetUserEventStatus(cl_event event, cl_int execution_status)
{
    struct event *user = event_check(event);
    if (!user || user->type != CL_COMMAND_USER)
        return CL_INVALID_EVENT;
    if (execution_status > CL_COMPLETE)
        return CL_INVALID_VALUE;
    GATE(clSetUserEventStatus);
    return hold_end(user, execution_status);
}

EXPORT cl_int CL_API_CALL clWaitForEvents(cl_uint num_events, const cl_event *event_list)
{
    if (num_events == 0 || !event_list)
        return CL_INVALID_VALUE;
    return wait_for_events(num_events, event_list);
}

EXPORT cl_int CL_API_CALL clRetainEvent(cl_event event)
{
    struct event *it = event_check(event);
    return it && object_retain(it) ? CL_SUCCESS : CL_INVALID_EVENT;
}

EXPORT cl_int CL_API_CALL clReleaseEvent(cl_event event)
{
    struct event *it = event_check(event);
    return it && object_release(it) ? CL_SUCCESS : CL_INVALID_EVENT;
}

static cl_int status_of(struct event *event, cl_int *status)
{
    if (event_place(event) == EVENT_ISSUED) {
        GATE(clGetEventInfo);
        /* A suspend may have come in between, and taken it. */
        if (event_place(event) == EVENT_ISSUED)
            return event->object.driver->clGetEventInfo(
                event_real(event), CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof *status, status, NULL);
    }
    *status = atomic_load(&event->status);
    return CL_SUCCESS;
}

EXPORT cl_int CL_API_CALL clGetEventInfo(cl_event event, cl_event_info param_name,
                                         size_t param_value_size, void *param_value,
                                         size_t *param_value_size_ret)
{
    struct answer to = {param_value_size, param_value, param_value_size_ret};
    struct event *it = event_check(event);
    if (!it)
        return CL_INVALID_EVENT;
    switch (param_name) {
    case CL_EVENT_COMMAND_QUEUE:
        return info_value(to, (cl_command_queue)it->queue);
    case CL_EVENT_CONTEXT:
        return info_value(to, (cl_context)it->context);
    case CL_EVENT_COMMAND_TYPE:
        return info_value(to, it->type);
    case CL_EVENT_REFERENCE_COUNT:
        return info_value(to, (cl_uint)atomic_load(&it->object.refs));
    case CL_EVENT_COMMAND_EXECUTION_STATUS: {
        cl_int status;
        cl_int err = status_of(it, &status);
        return err == CL_SUCCESS ? info_value(to, status) : err;
    }
    default:
        return CL_INVALID_VALUE;
    }
}

static cl_int ask_driver(struct event *event, cl_profiling_info param, struct answer to)
{
    GATE(clGetEventProfilingInfo);
    if (event_place(event) != EVENT_ISSUED)
        return CL_INVALID_EVENT;
    cl_int err = event->object.driver->clGetEventProfilingInfo(event_real(event), param, to.size,
                                                               to.value, to.size_ret);
    cl_ulong time;
    if (err == CL_SUCCESS && to.value && to.size >= sizeof time) {
        memcpy(&time, to.value, sizeof time);
        time = timer_event(device_clock(event->queue->device), time);
        memcpy(to.value, &time, sizeof time);
    }
    return err;
}

EXPORT cl_int CL_API_CALL clGetEventProfilingInfo(cl_event event, cl_profiling_info param_name,
                                                  size_t param_value_size, void *param_value,
                                                  size_t *param_value_size_ret)
{
    struct answer to = {param_value_size, param_value, param_value_size_ret};
    struct event *it = event_check(event);
    if (!it)
        return CL_INVALID_EVENT;
    /* §5.13: without profiling there are no times, though rusticl and oclgrind tell some. */
    if (event_place(it) == EVENT_ISSUED && it->timed) {
        cl_int err = ask_driver(it, param_name, to);
        if (event_place(it) == EVENT_ISSUED || err == CL_SUCCESS)
            return err;
    }
    if (param_name < CL_PROFILING_COMMAND_QUEUED || param_name > CL_PROFILING_COMMAND_COMPLETE)
        return CL_INVALID_VALUE;
    if (!it->profiled || atomic_load(&it->status) != CL_COMPLETE)
        return CL_PROFILING_INFO_NOT_AVAILABLE;
    return info_value(to, it->times[param_name - CL_PROFILING_COMMAND_QUEUED]);
}
