/* SPDX-License-Identifier: Apache-2.0 */
/* cl_khr_command_buffer: command buffers made, finalized, enqueued and asked. What is recorded in
 * them: shim/command_record.c. */
#include "state/command_buffer.h"

#include "shim/cancel.h"
#include "shim/enqueue.h"
#include "shim/gate.h"
#include "shim/hold.h"

/* Each property once, with a value that we know. */
static cl_int check_properties(const cl_command_buffer_properties_khr *properties)
{
    const cl_command_buffer_properties_khr known = CL_COMMAND_BUFFER_SIMULTANEOUS_USE_KHR;
    if (!properties || !properties[0])
        return CL_SUCCESS;
    return properties[0] == CL_COMMAND_BUFFER_FLAGS_KHR && !(properties[1] & ~known) &&
                   !properties[2]
               ? CL_SUCCESS
               : CL_INVALID_VALUE;
}

static cl_int check_create(cl_uint num_queues, const cl_command_queue *queues,
                           const cl_command_buffer_properties_khr *properties)
{
    if (num_queues != 1 || !queues)
        return CL_INVALID_VALUE;
    if (!queue_check(queues[0]))
        return CL_INVALID_COMMAND_QUEUE;
    return check_properties(properties);
}

cl_command_buffer_khr CL_API_CALL
clCreateCommandBufferKHR(cl_uint num_queues, const cl_command_queue *queues,
                         const cl_command_buffer_properties_khr *properties, cl_int *errcode_ret)
{
    struct command_buffer *buffer = NULL;
    NOT_CANCELLED();
    GATE(clCreateCommandBufferKHR);
    cl_int status = check_create(num_queues, queues, properties);
    if (status == CL_SUCCESS)
        status = command_buffer_create(queue_check(queues[0]), properties, &buffer);
    if (buffer)
        object_publish(buffer);
    if (errcode_ret)
        *errcode_ret = status;
    return (cl_command_buffer_khr)buffer;
}

static cl_int finalize(struct command_buffer *buffer)
{
    if (atomic_load(&buffer->finalized))
        return CL_INVALID_OPERATION;
    cl_int status = buffer->calls->clFinalizeCommandBufferKHR(buffer->object.real);
    if (status == CL_SUCCESS)
        atomic_store(&buffer->finalized, true);
    return status;
}

cl_int CL_API_CALL clFinalizeCommandBufferKHR(cl_command_buffer_khr command_buffer)
{
    struct command_buffer *buffer = command_buffer_check(command_buffer);
    if (!buffer)
        return CL_INVALID_COMMAND_BUFFER_KHR;
    NOT_CANCELLED();
    GATE(clFinalizeCommandBufferKHR);
    pthread_mutex_lock(&command_buffer_lock);
    cl_int status = finalize(buffer);
    pthread_mutex_unlock(&command_buffer_lock);
    return status;
}

cl_int CL_API_CALL clRetainCommandBufferKHR(cl_command_buffer_khr command_buffer)
{
    struct command_buffer *buffer = command_buffer_check(command_buffer);
    return buffer && object_retain(buffer) ? CL_SUCCESS : CL_INVALID_COMMAND_BUFFER_KHR;
}

cl_int CL_API_CALL clReleaseCommandBufferKHR(cl_command_buffer_khr command_buffer)
{
    struct command_buffer *buffer = command_buffer_check(command_buffer);
    if (!buffer)
        return CL_INVALID_COMMAND_BUFFER_KHR;
    /* It may be the last to hold a buffer over the application's memory: see clReleaseMemObject. */
    GATE(clReleaseCommandBufferKHR);
    return object_release(buffer) ? CL_SUCCESS : CL_INVALID_COMMAND_BUFFER_KHR;
}

struct run {
    struct command_buffer *buffer;
    bool counted; /* in buffer->held */
};

/* A queue that can stand in for the one it was recorded for. */
static bool is_alike(const struct queue *queue, const struct queue *recorded)
{
    return queue->device == recorded->device && queue->flags == recorded->flags;
}

static cl_int check_run(struct queue *queue, void *args)
{
    struct command_buffer *buffer = ((struct run *)args)->buffer;
    if (!atomic_load(&buffer->finalized))
        return CL_INVALID_OPERATION;
    /* One that is held back has not begun; the driver knows of the others. */
    if (atomic_load(&buffer->held) && !command_buffer_simultaneous(buffer))
        return CL_INVALID_OPERATION;
    if (queue->context != buffer->queue->context)
        return CL_INVALID_CONTEXT;
    return is_alike(queue, buffer->queue) ? CL_SUCCESS : CL_INCOMPATIBLE_COMMAND_QUEUE_KHR;
}

static cl_int issue_run(const struct issue *to, void *args)
{
    struct run *run = args;
    cl_command_queue queue = to->real;
    cl_int status = to->failed;
    if (status == CL_SUCCESS)
        status = run->buffer->calls->clEnqueueCommandBufferKHR(1, &queue, run->buffer->object.real,
                                                               to->num_waits, to->waits, to->event);
    /* Now the driver knows of it; before whoever waits for this command learns of it. */
    if (run->counted)
        atomic_fetch_sub(&run->buffer->held, 1);
    run->counted = false;
    return status;
}

static cl_int keep_run(struct queue *queue, void *args)
{
    struct run *run = args;
    if (!command_buffer_simultaneous(run->buffer) && command_buffer_pending(run->buffer))
        return CL_INVALID_OPERATION;
    object_hold(run->buffer);
    atomic_fetch_add(&run->buffer->held, 1);
    run->counted = true;
    return CL_SUCCESS;
}

static void drop_run(void *args)
{
    struct run *run = args;
    if (run->counted)
        atomic_fetch_sub(&run->buffer->held, 1);
    object_drop(run->buffer);
}

/* Whatever was recorded. */
static void run_wrote(const struct issue *to, const void *args)
{
    atomic_fetch_add_explicit(&to->queue->context->writes, 1, memory_order_release);
}

static cl_int recorded_needs(const struct recorded *command)
{
    if (command->kernel)
        return kernel_needs(command->kernel, command->args->args, lazy_need);
    return lazy_need_both(command->source, command->target);
}

static cl_int run_needs(const struct issue *to, const void *args)
{
    const struct command_buffer *buffer = ((const struct run *)args)->buffer;
    cl_int err = CL_SUCCESS;
    for (cl_uint i = 0; i < buffer->num_commands && err == CL_SUCCESS; i++)
        err = recorded_needs(buffer->commands[i]);
    return err;
}

static const struct command_type run_type = {.name = "clEnqueueCommandBufferKHR",
                                             .type = CL_COMMAND_COMMAND_BUFFER_KHR,
                                             .flags = COMMAND_TOLD,
                                             .size = sizeof(struct run),
                                             .check = check_run,
                                             .issue = issue_run,
                                             .keep = keep_run,
                                             .drop = drop_run,
                                             .wrote = run_wrote,
                                             .needs = run_needs};

cl_int CL_API_CALL clEnqueueCommandBufferKHR(cl_uint num_queues, cl_command_queue *queues,
                                             cl_command_buffer_khr command_buffer,
                                             cl_uint num_events_in_wait_list,
                                             const cl_event *event_wait_list, cl_event *event)
{
    struct run args = {.buffer = command_buffer_check(command_buffer)};
    if (!args.buffer)
        return CL_INVALID_COMMAND_BUFFER_KHR;
    if ((num_queues == 0) != (queues == NULL) || num_queues > 1)
        return CL_INVALID_VALUE;
    cl_command_queue queue = queues ? queues[0] : (cl_command_queue)args.buffer->queue;
    return enqueue(queue, &run_type, &args, CL_FALSE, num_events_in_wait_list, event_wait_list,
                   event);
}

static cl_command_buffer_state_khr state_of(struct command_buffer *buffer)
{
    if (!atomic_load(&buffer->finalized))
        return CL_COMMAND_BUFFER_STATE_RECORDING_KHR;
    if (atomic_load(&buffer->held))
        return CL_COMMAND_BUFFER_STATE_PENDING_KHR;
    GATE(clGetCommandBufferInfoKHR);
    return command_buffer_pending(buffer) ? CL_COMMAND_BUFFER_STATE_PENDING_KHR
                                          : CL_COMMAND_BUFFER_STATE_EXECUTABLE_KHR;
}

cl_int CL_API_CALL clGetCommandBufferInfoKHR(cl_command_buffer_khr command_buffer,
                                             cl_command_buffer_info_khr param_name,
                                             size_t param_value_size, void *param_value,
                                             size_t *param_value_size_ret)
{
    struct answer to = {param_value_size, param_value, param_value_size_ret};
    struct command_buffer *buffer = command_buffer_check(command_buffer);
    if (!buffer)
        return CL_INVALID_COMMAND_BUFFER_KHR;
    switch (param_name) {
    case CL_COMMAND_BUFFER_QUEUES_KHR:
        return info_value(to, (cl_command_queue)buffer->queue);
    case CL_COMMAND_BUFFER_CONTEXT_KHR:
        return info_value(to, (cl_context)buffer->queue->context);
    case CL_COMMAND_BUFFER_NUM_QUEUES_KHR:
        return info_value(to, (cl_uint)1);
    case CL_COMMAND_BUFFER_REFERENCE_COUNT_KHR:
        return info_value(to, (cl_uint)atomic_load(&buffer->object.refs));
    case CL_COMMAND_BUFFER_STATE_KHR:
        return info_value(to, state_of(buffer));
    case CL_COMMAND_BUFFER_PROPERTIES_ARRAY_KHR:
        return info_bytes(to, buffer->properties,
                          buffer->num_properties * sizeof *buffer->properties);
    default:
        return CL_INVALID_VALUE;
    }
}
