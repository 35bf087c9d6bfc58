/* SPDX-License-Identifier: Apache-2.0 */
/* The front that every call passes, and the way from any object to the devices it lives on. */
#include "tests/driver/driver.h"

#include <stdatomic.h>
#include <string.h>

#define X(name) #name,
static const char *const names[] = {CALLS(X)};
#undef X

static atomic_ulong counts[CALL_COUNT];

/* How often this call was made since the library was loaded, all calls for "*". Exported for
 * tests, which find it by dlsym. */
unsigned long shadowcl_testdriver_calls(const char *name);
__attribute__((visibility("default"))) unsigned long shadowcl_testdriver_calls(const char *name)
{
    unsigned long sum = 0;
    for (unsigned i = 0; i < CALL_COUNT; i++)
        if (!strcmp(name, "*") || !strcmp(name, names[i]))
            sum += atomic_load(&counts[i]);
    return sum;
}

const char *call_name(enum call call)
{
    return names[call];
}

cl_int call_begin(enum call call, unsigned mask)
{
    atomic_fetch_add(&counts[call], 1);
    cl_int err = faults_apply(names[call]);
    for (unsigned i = 0; err == CL_SUCCESS && i < num_devices; i++)
        if (mask & 1u << i && !device_present(&devices[i]))
            err = CL_OUT_OF_RESOURCES;
    return err;
}

unsigned device_mask(cl_device_id id)
{
    struct device *device = device_find(id);
    return device ? 1u << (device - devices) : 0;
}

unsigned context_mask(cl_context context)
{
    cl_device_id ids[64];
    size_t size = 0;
    unsigned mask = 0;
    if (!context)
        return 0;
    if (pocl->clGetContextInfo(context, CL_CONTEXT_DEVICES, sizeof ids, ids, &size) == CL_SUCCESS)
        for (size_t i = 0; i < size / sizeof *ids; i++)
            mask |= device_mask(ids[i]);
    return mask;
}

unsigned queue_mask(cl_command_queue queue)
{
    cl_device_id id = NULL;
    if (queue)
        pocl->clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof id, &id, NULL);
    return device_mask(id);
}

struct device *queue_device(cl_command_queue queue)
{
    cl_device_id id = NULL;
    if (queue)
        pocl->clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof id, &id, NULL);
    return id ? device_find(id) : NULL;
}

cl_context queue_context(cl_command_queue queue)
{
    cl_context context = NULL;
    if (queue)
        pocl->clGetCommandQueueInfo(queue, CL_QUEUE_CONTEXT, sizeof context, &context, NULL);
    return context;
}

#define MASK(function, type, query, param)                                                         \
    unsigned function(type object)                                                                 \
    {                                                                                              \
        cl_context context = NULL;                                                                 \
        if (object)                                                                                \
            pocl->query(object, param, sizeof context, &context, NULL);                            \
        return context_mask(context);                                                              \
    }
MASK(mem_mask, cl_mem, clGetMemObjectInfo, CL_MEM_CONTEXT)
MASK(sampler_mask, cl_sampler, clGetSamplerInfo, CL_SAMPLER_CONTEXT)
MASK(program_mask, cl_program, clGetProgramInfo, CL_PROGRAM_CONTEXT)
MASK(kernel_mask, cl_kernel, clGetKernelInfo, CL_KERNEL_CONTEXT)
MASK(event_mask, cl_event, clGetEventInfo, CL_EVENT_CONTEXT)
#undef MASK
