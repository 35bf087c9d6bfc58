/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.6.1: SVM copied, filled, mapped and unmapped. The pointers are the application's
 * and go to the driver as they are. */
#include <stdint.h>
#include <string.h>

#include "shim/ask.h"
#include "shim/enqueue.h"
#include "shim/export.h"
#include "shim/transfer.h"

/* The longest pattern: sizeof(cl_long16). */
#define PATTERN_MAX 128

struct svm_copy {
    void *target;
    const void *source;
    size_t size;
};

static cl_int check_copy(struct queue *queue, void *data)
{
    const struct svm_copy *args = data;
    if (!queue->object.driver->clEnqueueSVMMemcpy)
        return CL_INVALID_OPERATION;
    return args->target && args->source ? CL_SUCCESS : CL_INVALID_VALUE;
}

static cl_int issue_copy(const struct issue *to, void *data)
{
    const struct svm_copy *args = data;
    return to->driver->clEnqueueSVMMemcpy(to->real, to->blocking, args->target, args->source,
                                          args->size, to->num_waits, to->waits, to->event);
}

static cl_int ask_copy(struct queue *queue, void *data)
{
    const struct svm_copy *args = data;
    uintptr_t a = (uintptr_t)args->target, b = (uintptr_t)args->source;
    if (!args->size)
        return ask_empty(queue, issue_copy, data);
    return transfer_distance(a, b) < args->size ? CL_MEM_COPY_OVERLAP : CL_SUCCESS;
}

static const struct command_type svm_memcpy = {"clEnqueueSVMMemcpy",
                                               CL_COMMAND_SVM_MEMCPY,
                                               0,
                                               sizeof(struct svm_copy),
                                               check_copy,
                                               issue_copy,
                                               NULL,
                                               NULL,
                                               NULL,
                                               NULL,
                                               ask_copy};

EXPORT cl_int CL_API_CALL clEnqueueSVMMemcpy(cl_command_queue command_queue, cl_bool blocking_copy,
                                             void *dst_ptr, const void *src_ptr, size_t size,
                                             cl_uint num_events_in_wait_list,
                                             const cl_event *event_wait_list, cl_event *event)
{
    struct svm_copy args = {dst_ptr, src_ptr, size};
    return enqueue(command_queue, &svm_memcpy, &args, blocking_copy, num_events_in_wait_list,
                   event_wait_list, event);
}

struct svm_fill {
    void *pointer;
    const void *pattern; /* the application's */
    size_t pattern_size, size;
    unsigned char kept[PATTERN_MAX];
};

static cl_int check_fill(struct queue *queue, void *data)
{
    const struct svm_fill *args = data;
    if (!queue->object.driver->clEnqueueSVMMemFill)
        return CL_INVALID_OPERATION;
    return args->pointer && args->pattern ? CL_SUCCESS : CL_INVALID_VALUE;
}

static cl_int issue_fill(const struct issue *to, void *data)
{
    const struct svm_fill *args = data;
    return to->driver->clEnqueueSVMMemFill(
        to->real, args->pointer, to->held ? args->kept : args->pattern, args->pattern_size,
        args->size, to->num_waits, to->waits, to->event);
}

static cl_int ask_fill(struct queue *queue, void *data)
{
    struct svm_fill *args = data;
    size_t step = args->pattern_size;
    if (!step || step > PATTERN_MAX || (step & (step - 1)) || args->size % step ||
        (uintptr_t)args->pointer % step)
        return CL_INVALID_VALUE;
    return args->size ? CL_SUCCESS : ask_empty(queue, issue_fill, args);
}

static cl_int keep_fill(struct queue *queue, void *data)
{
    struct svm_fill *args = data;
    memcpy(args->kept, args->pattern, args->pattern_size);
    return CL_SUCCESS;
}

static const struct command_type svm_memfill = {"clEnqueueSVMMemFill",
                                                CL_COMMAND_SVM_MEMFILL,
                                                0,
                                                sizeof(struct svm_fill),
                                                check_fill,
                                                issue_fill,
                                                keep_fill,
                                                NULL,
                                                NULL,
                                                NULL,
                                                ask_fill};

EXPORT cl_int CL_API_CALL clEnqueueSVMMemFill(cl_command_queue command_queue, void *svm_ptr,
                                              const void *pattern, size_t pattern_size, size_t size,
                                              cl_uint num_events_in_wait_list,
                                              const cl_event *event_wait_list, cl_event *event)
{
    struct svm_fill args;
    args.pointer = svm_ptr;
    args.pattern = pattern;
    args.pattern_size = pattern_size;
    args.size = size;
    return enqueue(command_queue, &svm_memfill, &args, CL_FALSE, num_events_in_wait_list,
                   event_wait_list, event);
}

struct svm_map {
    void *pointer;
    size_t size;
    cl_map_flags flags;
};

static cl_int check_map(struct queue *queue, void *data)
{
    const struct svm_map *args = data;
    if (!queue->object.driver->clEnqueueSVMMap || !queue->object.driver->clEnqueueSVMUnmap)
        return CL_INVALID_OPERATION;
    return args->pointer ? CL_SUCCESS : CL_INVALID_VALUE;
}

static cl_int issue_map(const struct issue *to, void *data)
{
    const struct svm_map *args = data;
    return to->driver->clEnqueueSVMMap(to->real, to->blocking, args->flags, args->pointer,
                                       args->size, to->num_waits, to->waits, to->event);
}

static cl_int keep_map(struct queue *queue, void *data)
{
    const struct svm_map *args = data;
    const cl_map_flags access = CL_MAP_READ | CL_MAP_WRITE;
    bool invalidates = args->flags & CL_MAP_WRITE_INVALIDATE_REGION;
    if (!args->size || (args->flags & ~(access | CL_MAP_WRITE_INVALIDATE_REGION)) ||
        (invalidates && (args->flags & access)))
        return CL_INVALID_VALUE;
    return CL_SUCCESS;
}

static const struct command_type svm_map_type = {"clEnqueueSVMMap",
                                                 CL_COMMAND_SVM_MAP,
                                                 0,
                                                 sizeof(struct svm_map),
                                                 check_map,
                                                 issue_map,
                                                 keep_map,
                                                 NULL,
                                                 NULL,
                                                 NULL,
                                                 NULL};

EXPORT cl_int CL_API_CALL clEnqueueSVMMap(cl_command_queue command_queue, cl_bool blocking_map,
                                          cl_map_flags flags, void *svm_ptr, size_t size,
                                          cl_uint num_events_in_wait_list,
                                          const cl_event *event_wait_list, cl_event *event)
{
    struct svm_map args = {svm_ptr, size, flags};
    return enqueue(command_queue, &svm_map_type, &args, blocking_map, num_events_in_wait_list,
                   event_wait_list, event);
}

static cl_int issue_unmap(const struct issue *to, void *data)
{
    const struct svm_map *args = data;
    return to->driver->clEnqueueSVMUnmap(to->real, args->pointer, to->num_waits, to->waits,
                                         to->event);
}

static const struct command_type svm_unmap_type = {"clEnqueueSVMUnmap",
                                                   CL_COMMAND_SVM_UNMAP,
                                                   0,
                                                   sizeof(struct svm_map),
                                                   check_map,
                                                   issue_unmap,
                                                   NULL,
                                                   NULL,
                                                   NULL,
                                                   NULL,
                                                   NULL};

EXPORT cl_int CL_API_CALL clEnqueueSVMUnmap(cl_command_queue command_queue, void *svm_ptr,
                                            cl_uint num_events_in_wait_list,
                                            const cl_event *event_wait_list, cl_event *event)
{
    struct svm_map args = {.pointer = svm_ptr};
    return enqueue(command_queue, &svm_unmap_type, &args, CL_FALSE, num_events_in_wait_list,
                   event_wait_list, event);
}
