/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts: see context.h. */
#include "state/context.h"

#include <stdlib.h>
#include <string.h>

#include "shim/cancel.h"
#include "shim/config.h"
#include "state/copier.h"
#include "state/query.h"
#include "state/straggler.h"

/* Direct3D's and VA-API's, by number: their headers want more than we have. */
#define CONTEXT_D3D10_DEVICE 0x4014
#define CONTEXT_D3D11_DEVICE 0x401D
#define CONTEXT_ADAPTER_D3D9 0x2025
#define CONTEXT_ADAPTER_D3D9EX 0x2026
#define CONTEXT_ADAPTER_DXVA 0x2027
#define CONTEXT_VA_API_DISPLAY 0x4097

/* Why a context with the property can't be carried; NULL: it can. */
static const char *property_refusal(cl_context_properties property, cl_context_properties value)
{
    if (!value)
        return NULL;
    switch (property) {
    case CL_GL_CONTEXT_KHR:
    case CL_GLX_DISPLAY_KHR:
    case CL_WGL_HDC_KHR:
    case CL_CGL_SHAREGROUP_KHR:
        return "it shares objects with an OpenGL context";
    case CL_EGL_DISPLAY_KHR:
        return "it shares objects with an EGL display";
    case CONTEXT_D3D10_DEVICE:
    case CONTEXT_D3D11_DEVICE:
    case CONTEXT_ADAPTER_D3D9:
    case CONTEXT_ADAPTER_D3D9EX:
    case CONTEXT_ADAPTER_DXVA:
        return "it shares objects with Direct3D";
    case CONTEXT_VA_API_DISPLAY:
        return "it shares surfaces with VA-API";
    default:
        return NULL;
    }
}

static bool copy_properties(struct context *context, const cl_context_properties *properties)
{
    if (!properties)
        return true;
    size_t words = 1;
    for (; properties[words - 1]; words += 2)
        if (!context->object.refusal)
            context->object.refusal = property_refusal(properties[words - 1], properties[words]);
    context->properties = malloc(words * sizeof *properties);
    if (!context->properties)
        return false;
    memcpy(context->properties, properties, words * sizeof *properties);
    context->num_properties = words;
    return true;
}

bool context_has_device(const struct context *context, const struct device *device)
{
    for (cl_uint i = 0; i < context->num_devices; i++)
        if (context->devices[i] == device)
            return true;
    return false;
}

/* Does it work on the host's memory, wherever that lies? CL_DEVICE_HOST_UNIFIED_MEMORY alone does
 * not say so: rusticl has it and refuses images made from CL_MEM_USE_HOST_PTR buffers. Those that
 * share single bytes (§5.6) do. */
static bool works_on_host_memory(const struct device *device)
{
    const struct driver *driver = device->object.driver;
    return query_device_number(driver, device_real(device), CL_DEVICE_HOST_UNIFIED_MEMORY,
                               CL_FALSE) &&
           (query_device_number(driver, device_real(device), CL_DEVICE_SVM_CAPABILITIES, 0) &
            CL_DEVICE_SVM_FINE_GRAIN_BUFFER);
}

/* Do all of the devices work on the host's memory? */
static bool shares_memory(struct device *const *devices, cl_uint num_devices)
{
    if (config.mapping != MAPPING_AUTO)
        return config.mapping == MAPPING_SHARED;
    for (cl_uint i = 0; i < num_devices; i++)
        if (!works_on_host_memory(devices[i]))
            return false;
    return true;
}

struct context *context_load(struct device *const *devices, cl_uint num_devices,
                             const cl_context_properties *properties, bool shared)
{
    struct context *context =
        object_create(KIND_CONTEXT, sizeof *context, devices[0]->object.driver);
    if (!context)
        return NULL;
    context->devices = calloc(num_devices, sizeof(struct device *));
    if (!context->devices || !copy_properties(context, properties)) {
        context_discard(context);
        return NULL;
    }
    for (cl_uint i = 0; i < num_devices; i++) {
        if (context_has_device(context, devices[i]))
            continue;
        object_hold(devices[i]);
        context->devices[context->num_devices++] = devices[i];
    }
    context->shared = shared;
    return context;
}

struct context *context_create(struct device *const *devices, cl_uint num_devices,
                               const cl_context_properties *properties)
{
    for (cl_uint i = 0; i < num_devices; i++)
        device_note(devices[i], DEVICE_HAD_CONTEXT);
    return context_load(devices, num_devices, properties, shares_memory(devices, num_devices));
}

static void finish(struct context *context)
{
    context_release(context);
    for (cl_uint i = 0; i < context->num_devices; i++)
        object_drop(context->devices[i]);
    free(context->devices);
    free(context->properties);
    info_cache_finish(&context->formats);
}

void context_discard(struct context *context)
{
    finish(context);
    object_discard(context);
}

void context_destroy(void *object)
{
    NOT_CANCELLED();
    struct context *context = object;
    finish(context);
    struct post *post = atomic_exchange(&context->callbacks, NULL);
    while (post) {
        struct post *next = post->next;
        callback_post(post);
        post = next;
    }
}

/* What the driver has to say about the context, on its way to the application. */
struct notice {
    struct post post;
    context_notify notify;
    void *data;
    size_t size;      /* of the private information */
    const void *info; /* in bytes; NULL: none */
    char bytes[];     /* text, NUL, private information */
};

static void run_notice(struct post *post)
{
    struct notice *notice = (struct notice *)post;
    notice->notify(notice->bytes, notice->info, notice->size, notice->data);
    free(notice);
}

/* The driver may keep its context, and tell it of errors, when ours is gone and its slot another's:
 * so it gets the place of the slot and its generation, in one word. */
#define GENERATION_BITS 24

static void *notice_data(const struct context *context)
{
    uintptr_t place = ((uintptr_t)context - object_band) / OBJECT_SLOT;
    return (void *)(place << GENERATION_BITS | context->object.generation);
}

static struct context *context_of_notice(const void *data)
{
    uintptr_t word = (uintptr_t)data, generation = word & ((1u << GENERATION_BITS) - 1);
    void *slot = (void *)(object_band + (word >> GENERATION_BITS) * OBJECT_SLOT);
    struct context *context = context_check(slot);
    return context && context->object.generation == generation ? context : NULL;
}

/* The driver's thread calls this. Without memory the notice is lost: there is nobody to tell. */
static void CL_CALLBACK post_notice(const char *text, const void *info, size_t size, void *data)
{
    const struct context *context = context_of_notice(data);
    if (!context)
        return;
    size_t length = text ? strlen(text) + 1 : 1;
    if (!info)
        size = 0;
    struct notice *notice = malloc(sizeof *notice + length + size);
    if (!notice)
        return;
    *notice = (struct notice){.post.run = run_notice,
                              .notify = context->notify,
                              .data = context->notify_data,
                              .size = size};
    memcpy(notice->bytes, text ? text : "", length);
    if (size)
        notice->info = memcpy(notice->bytes + length, info, size);
    callback_post(&notice->post);
}

/* The properties with the driver's platform for ours. */
static void translate_properties(const struct context *context, cl_context_properties *to)
{
    memcpy(to, context->properties, context->num_properties * sizeof *to);
    for (size_t i = 0; to[i]; i += 2)
        if (to[i] == CL_CONTEXT_PLATFORM && to[i + 1])
            to[i + 1] = (cl_context_properties)context->object.driver->platform;
}

cl_int context_open(struct context *context)
{
    const struct driver *driver = context->object.driver;
    cl_int status = CL_OUT_OF_HOST_MEMORY;
    cl_device_id *devices = calloc(context->num_devices, sizeof(cl_device_id));
    cl_context_properties *properties =
        calloc(context->num_properties + 1, sizeof(cl_context_properties));
    if (devices && properties) {
        for (cl_uint i = 0; i < context->num_devices; i++)
            devices[i] = device_real(context->devices[i]);
        if (context->properties)
            translate_properties(context, properties);
        context->object.real =
            driver->clCreateContext(context->properties ? properties : NULL, context->num_devices,
                                    devices, context->notify ? post_notice : NULL,
                                    context->notify ? notice_data(context) : NULL, &status);
        if (status != CL_SUCCESS)
            context->object.real = NULL;
    }
    free(properties);
    free(devices);
    return status;
}

int context_carriable(const struct context *context, struct error *err)
{
    if (!context->object.refusal)
        return 0;
    error_set(err, 0, "%s", context->object.refusal);
    return error_todo(err, "release the context before the suspend, or make it without sharing");
}

void context_release(struct context *context)
{
    const struct driver *driver = context->object.driver;
    context_drop_copier(context);
    straggler_finish(context);
    cl_context real = context_real(context);
    context->object.real = NULL;
    if (real)
        RELEASE(driver, clReleaseContext, real);
}

int context_rebuild(struct context *context, struct error *err)
{
    context->object.driver = context->devices[0]->object.driver;
    cl_int status = context_open(context);
    if (status == CL_SUCCESS)
        return 0;
    return error_set(err, 0, "the driver can't make it again (%d)", status);
}
