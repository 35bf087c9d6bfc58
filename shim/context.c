/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §4.4 Contexts. */
#include "state/context.h"

#include <stdlib.h>

#include "shim/cancel.h"
#include "shim/export.h"
#include "shim/gate.h"
#include "shim/loader.h"
#include "shim/platform.h"

/* The platform that the properties name, or the first one. */
static cl_int named_platform(const cl_context_properties *properties, struct platform **platform)
{
    cl_platform_id handle = NULL;
    for (; properties && *properties; properties += 2) {
        if (*properties != CL_CONTEXT_PLATFORM)
            continue;
        handle = (cl_platform_id)properties[1];
        if (!platform_check(handle))
            return CL_INVALID_PLATFORM;
    }
    *platform = platform_or_default(handle);
    return *platform ? CL_SUCCESS : CL_INVALID_PLATFORM;
}

/* After a move two of them may have become one. (The same one twice is one, §4.4.) */
static bool is_twice(struct device *const *devices, cl_uint last)
{
    for (cl_uint i = 0; i < last; i++)
        if (devices[i] != devices[last] && device_real(devices[i]) == device_real(devices[last]))
            return true;
    return false;
}

/* The devices are of one driver, and of the platform that the properties name. */
static cl_int check_devices(const cl_context_properties *properties, cl_uint num_devices,
                            const cl_device_id *devices)
{
    struct platform *platform = NULL;
    for (cl_uint i = 0; i < num_devices; i++)
        if (!device_check(devices[i]))
            return CL_INVALID_DEVICE;
    struct device *first = device_check(devices[0]);
    for (const cl_context_properties *at = properties; at && *at; at += 2)
        if (*at == CL_CONTEXT_PLATFORM) {
            platform = platform_check((cl_platform_id)at[1]);
            if (!platform)
                return CL_INVALID_PLATFORM;
        }
    for (cl_uint i = 0; i < num_devices; i++) {
        struct device *device = device_check(devices[i]);
        if ((platform && device->platform != platform) || device->platform != first->platform ||
            device->object.driver != first->object.driver)
            return CL_INVALID_DEVICE;
        if (!device_real(device))
            return CL_DEVICE_NOT_AVAILABLE;
        if (is_twice((struct device *const *)devices, i))
            return CL_INVALID_DEVICE;
    }
    return CL_SUCCESS;
}

/* Both ways of making a context end here, inside the gate, with everything checked. */
static cl_context create_context(struct device *const *devices, cl_uint num_devices,
                                 const cl_context_properties *properties, bool from_type,
                                 context_notify notify, void *user_data, cl_int *status)
{
    struct context *context = context_create(devices, num_devices, properties);
    *status = CL_OUT_OF_HOST_MEMORY;
    if (!context)
        return NULL;
    context->from_type = from_type;
    context->notify = notify;
    context->notify_data = user_data;
    bool watching = loader_watch();
    if (!notify || callback_prepare())
        *status = context_open(context);
    loader_watched(context->object.driver, watching);
    if (*status != CL_SUCCESS) {
        context_discard(context);
        return NULL;
    }
    object_publish(context);
    return (cl_context)context;
}

EXPORT cl_context CL_API_CALL clCreateContext(
    const cl_context_properties *properties, cl_uint num_devices, const cl_device_id *devices,
    void(CL_CALLBACK *pfn_notify)(const char *, const void *, size_t, void *), void *user_data,
    cl_int *errcode_ret)
{
    cl_context context = NULL;
    cl_int status = CL_INVALID_VALUE;
    if (devices && num_devices && (pfn_notify || !user_data)) {
        NOT_CANCELLED();
        GATE(clCreateContext);
        status = check_devices(properties, num_devices, devices);
        if (status == CL_SUCCESS)
            /* A handle is the address of its shadow object. */
            context = create_context((struct device *const *)devices, num_devices, properties,
                                     false, pfn_notify, user_data, &status);
    }
    if (errcode_ret)
        *errcode_ret = status;
    return context;
}

/* After a move, devices of one platform may live with several drivers, or several with one: those
 * that live with the first one's stay in the list, the first of them that are one. */
static cl_uint keep_one_driver(struct device **devices, cl_uint count)
{
    cl_uint kept = 0;
    for (cl_uint i = 0; i < count; i++) {
        if (!device_real(devices[i]) ||
            (kept && devices[i]->object.driver != devices[0]->object.driver))
            continue;
        devices[kept] = devices[i];
        kept += !is_twice(devices, kept);
    }
    return kept;
}

static cl_context create_from_type(const cl_context_properties *properties, cl_device_type type,
                                   context_notify notify, void *user_data, cl_int *status)
{
    NOT_CANCELLED();
    GATE(clCreateContextFromType);
    struct platform *platform = NULL;
    struct device **devices = NULL;
    cl_uint count = 0;
    *status = named_platform(properties, &platform);
    if (*status == CL_SUCCESS)
        *status = platform_devices(platform, type, &devices, &count);
    if (*status != CL_SUCCESS)
        return NULL;
    cl_context context = NULL;
    count = keep_one_driver(devices, count);
    if (count)
        context = create_context(devices, count, properties, true, notify, user_data, status);
    else
        *status = CL_DEVICE_NOT_AVAILABLE;
    free(devices);
    return context;
}

EXPORT cl_context CL_API_CALL
clCreateContextFromType(const cl_context_properties *properties, cl_device_type device_type,
                        void(CL_CALLBACK *pfn_notify)(const char *, const void *, size_t, void *),
                        void *user_data, cl_int *errcode_ret)
{
    cl_context context = NULL;
    cl_int status = CL_INVALID_VALUE;
    if (pfn_notify || !user_data)
        context = create_from_type(properties, device_type, pfn_notify, user_data, &status);
    if (errcode_ret)
        *errcode_ret = status;
    return context;
}

EXPORT cl_int CL_API_CALL clRetainContext(cl_context context)
{
    struct context *shadow = context_check(context);
    return shadow && object_retain(shadow) ? CL_SUCCESS : CL_INVALID_CONTEXT;
}

EXPORT cl_int CL_API_CALL clReleaseContext(cl_context context)
{
    struct context *shadow = context_check(context);
    return shadow && object_release(shadow) ? CL_SUCCESS : CL_INVALID_CONTEXT;
}

EXPORT cl_int CL_API_CALL clGetContextInfo(cl_context context, cl_context_info param_name,
                                           size_t param_value_size, void *param_value,
                                           size_t *param_value_size_ret)
{
    const struct answer to = {param_value_size, param_value, param_value_size_ret};
    struct context *shadow = context_check(context);
    if (!shadow)
        return CL_INVALID_CONTEXT;
    switch (param_name) {
    case CL_CONTEXT_REFERENCE_COUNT:
        return info_value(to, (cl_uint)atomic_load(&shadow->object.refs));
    case CL_CONTEXT_NUM_DEVICES:
        return info_value(to, shadow->num_devices);
    case CL_CONTEXT_DEVICES:
        return info_bytes(to, shadow->devices, shadow->num_devices * sizeof(cl_device_id));
    case CL_CONTEXT_PROPERTIES:
        return info_bytes(to, shadow->properties,
                          shadow->num_properties * sizeof(cl_context_properties));
    default:
        return CL_INVALID_VALUE;
    }
}

static void run_destructor(struct post *post)
{
    struct context_callback *callback = (struct context_callback *)post;
    callback->function(callback->context, callback->data);
    free(callback);
}

EXPORT cl_int CL_API_CALL clSetContextDestructorCallback(
    cl_context context, void(CL_CALLBACK *pfn_notify)(cl_context context, void *user_data),
    void *user_data)
{
    struct context *shadow = context_check(context);
    if (!shadow)
        return CL_INVALID_CONTEXT;
    if (!pfn_notify)
        return CL_INVALID_VALUE;
    struct context_callback *callback = malloc(sizeof *callback);
    if (!callback || !callback_prepare()) {
        free(callback);
        return CL_OUT_OF_HOST_MEMORY;
    }
    *callback = (struct context_callback){
        {.run = run_destructor}, .function = pfn_notify, .data = user_data, .context = context};
    callback->post.next = atomic_load(&shadow->callbacks);
    while (!atomic_compare_exchange_weak(&shadow->callbacks, &callback->post.next, &callback->post))
        ;
    return CL_SUCCESS;
}
