/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.10 clEnqueueNativeKernel: the application's own function, run by a thread of the
 * driver. It gets a trampoline of ours with the function before its arguments, which lets that
 * thread pass the gate while the drain waits for it. */
#include <stdlib.h>
#include <string.h>

#include "shim/enqueue.h"
#include "shim/export.h"
#include "shim/gate.h"
#include "state/mem.h"

typedef void(CL_CALLBACK *native_function)(void *args);

struct native {
    native_function function;
    const void *blob; /* the application's arguments, or (kept) an owned copy; may be NULL */
    size_t size;
    cl_uint num_mems;
    struct mem *const *mems;   /* handles until they are checked; may hold NULLs */
    const void *const *places; /* where in the blob the driver writes each one's address */
    struct native_copy *kept;  /* owned */
};

struct native_copy {
    struct mem **mems;
    const void **places;
    unsigned char *blob;
};

/* In front of the arguments that the driver copies: as long as the largest alignment of a type, so
 * that they keep whatever alignment the driver gives its copy. */
union header {
    struct {
        native_function function;
        bool has_args;
    };
    unsigned char padding[128];
};

static void CL_CALLBACK trampoline(void *args)
{
    const union header *header = args;
    gate_lend();
    header->function(header->has_args ? (char *)args + sizeof *header : NULL);
    gate_unlend();
}

static cl_int native_check(struct queue *queue, void *args)
{
    struct native *native = args;
    bool mems = native->mems && native->places;
    bool no_mems = !native->mems && !native->places;
    if (!native->function || (native->blob == NULL) != (native->size == 0) ||
        (native->num_mems ? !mems || !native->blob : !no_mems))
        return CL_INVALID_VALUE;
    for (cl_uint i = 0; i < native->num_mems; i++)
        if (native->mems[i] && !buffer_check((cl_mem)native->mems[i]))
            return CL_INVALID_MEM_OBJECT;
    cl_device_exec_capabilities capabilities = 0;
    struct answer to = {sizeof capabilities, &capabilities, NULL};
    device_info(queue->device, CL_DEVICE_EXECUTION_CAPABILITIES, to);
    return capabilities & CL_EXEC_NATIVE_KERNEL ? CL_SUCCESS : CL_INVALID_OPERATION;
}

/* The header, the arguments, and the places in them moved along. */
static cl_int call_driver(const struct issue *to, const struct native *native,
                          unsigned char *arguments, cl_mem *mems, const void **places)
{
    union header header = {.function = native->function, .has_args = native->blob != NULL};
    memcpy(arguments, &header, sizeof header);
    if (native->blob)
        memcpy(arguments + sizeof header, native->blob, native->size);
    for (cl_uint i = 0; i < native->num_mems; i++) {
        mems[i] = mem_real(native->mems[i]);
        places[i] =
            arguments + sizeof header +
            ((const unsigned char *)native->places[i] - (const unsigned char *)native->blob);
    }
    bool any = native->num_mems > 0;
    if (!to->driver->clEnqueueNativeKernel)
        return CL_INVALID_OPERATION;
    return to->driver->clEnqueueNativeKernel(
        to->real, trampoline, arguments, sizeof header + native->size, native->num_mems,
        any ? mems : NULL, any ? places : NULL, to->num_waits, to->waits, to->event);
}

static cl_int native_issue(const struct issue *to, void *args)
{
    const struct native *native = args;
    size_t size = sizeof(union header) + native->size;
    unsigned char *arguments = malloc(size);
    cl_mem *mems = calloc(native->num_mems + 1, sizeof *mems);
    const void **places = calloc(native->num_mems + 1, sizeof *places);
    cl_int status = CL_OUT_OF_HOST_MEMORY;
    if (arguments && mems && places)
        status = call_driver(to, native, arguments, mems, places);
    free(places);
    free(mems);
    free(arguments);
    return status;
}

static void free_copy(struct native_copy *copy)
{
    if (!copy)
        return;
    free(copy->mems);
    free(copy->places);
    free(copy->blob);
    free(copy);
}

static struct native_copy *create_copy(const struct native *native)
{
    struct native_copy *copy = calloc(1, sizeof *copy);
    if (!copy)
        return NULL;
    copy->mems = calloc(native->num_mems + 1, sizeof *copy->mems);
    copy->places = calloc(native->num_mems + 1, sizeof *copy->places);
    copy->blob = malloc(native->size + 1);
    if (copy->mems && copy->places && copy->blob)
        return copy;
    free_copy(copy);
    return NULL;
}

static cl_int native_keep(struct queue *queue, void *args)
{
    struct native *native = args;
    struct native_copy *copy = create_copy(native);
    if (!copy)
        return CL_OUT_OF_HOST_MEMORY;
    if (native->size)
        memcpy(copy->blob, native->blob, native->size);
    for (cl_uint i = 0; i < native->num_mems; i++) {
        copy->mems[i] = object_hold(native->mems[i]);
        copy->places[i] = copy->blob + ((const unsigned char *)native->places[i] -
                                        (const unsigned char *)native->blob);
    }
    native->blob = native->blob ? copy->blob : NULL;
    native->mems = copy->mems;
    native->places = copy->places;
    native->kept = copy;
    return CL_SUCCESS;
}

static void native_drop(void *args)
{
    struct native *native = args;
    for (cl_uint i = 0; i < native->num_mems; i++)
        object_drop(native->mems[i]);
    free_copy(native->kept);
}

static void native_wrote(const struct issue *to, const void *args)
{
    const struct native *native = args;
    for (cl_uint i = 0; i < native->num_mems; i++)
        if (native->mems[i])
            mem_wrote(native->mems[i]);
}

/* It may make calls from inside the driver, where nothing can be waited for. */
static cl_int native_needs(const struct issue *to, const void *args)
{
    return lazy_need_all();
}

static const struct command_type native_type = {
    .name = "clEnqueueNativeKernel",
    .type = CL_COMMAND_NATIVE_KERNEL,
    .size = sizeof(struct native),
    .check = native_check,
    .issue = native_issue,
    .keep = native_keep,
    .drop = native_drop,
    .wrote = native_wrote,
    .needs = native_needs,
};

EXPORT cl_int CL_API_CALL clEnqueueNativeKernel(cl_command_queue command_queue,
                                                native_function user_func, void *args,
                                                size_t cb_args, cl_uint num_mem_objects,
                                                const cl_mem *mem_list, const void **args_mem_loc,
                                                cl_uint num_events_in_wait_list,
                                                const cl_event *event_wait_list, cl_event *event)
{
    struct native native = {.function = user_func,
                            .blob = args,
                            .size = cb_args,
                            .num_mems = num_mem_objects,
                            .mems = (struct mem *const *)mem_list,
                            .places = (const void *const *)args_mem_loc};
    return enqueue(command_queue, &native_type, &native, CL_FALSE, num_events_in_wait_list,
                   event_wait_list, event);
}
