/* SPDX-License-Identifier: Apache-2.0 */
/* Command buffers: their life, and how they are made again. See command_buffer.h. */
#include "state/command_buffer.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shim/cancel.h"
#include "shim/gate.h"
#include "shim/phase.h"
#include "state/query.h"

pthread_mutex_t command_buffer_lock = PTHREAD_MUTEX_INITIALIZER;

void command_buffer_forked(void)
{
    pthread_mutex_init(&command_buffer_lock, NULL);
}

bool command_buffer_look_up(const struct driver *driver, struct command_buffer_calls *calls)
{
#define X(call)                                                                                    \
    calls->call = (__typeof__(calls->call))driver_extension(driver, #call);                        \
    if (!calls->call)                                                                              \
        return false;
    COMMAND_BUFFER_CALLS(X)
#undef X
    return true;
}

#define CHANGED CL_MAKE_VERSION(0, 9, 5)

/* A driver that does not tell versions is older than the change. */
static bool has_changed(const struct driver *driver, cl_device_id device)
{
    struct reply reply;
    bool changed = false;
    if (query_device(driver, device, CL_DEVICE_EXTENSIONS_WITH_VERSION, &reply) != CL_SUCCESS)
        return false;
    const cl_name_version *all = reply.bytes;
    for (size_t i = 0; i < reply.size / sizeof *all; i++)
        if (strcmp(all[i].name, CL_KHR_COMMAND_BUFFER_EXTENSION_NAME) == 0)
            changed = all[i].version >= CHANGED;
    free(reply.bytes);
    return changed;
}

bool command_buffer_usable(const struct driver *driver)
{
    struct command_buffer_calls calls;
    cl_device_id *devices = NULL;
    cl_uint count = 0;
    if (!command_buffer_look_up(driver, &calls) ||
        platform_list(driver, &devices, &count) != CL_SUCCESS)
        return false;
    bool usable = true;
    for (cl_uint i = 0; i < count && usable; i++)
        usable = !has_changed(driver, devices[i]);
    free(devices);
    return usable;
}

bool command_buffer_simultaneous(const struct command_buffer *buffer)
{
    for (size_t i = 0; i + 1 < buffer->num_properties; i += 2)
        if (buffer->properties[i] == CL_COMMAND_BUFFER_FLAGS_KHR)
            return buffer->properties[i + 1] & CL_COMMAND_BUFFER_SIMULTANEOUS_USE_KHR;
    return false;
}

static cl_command_buffer_khr buffer_real(const struct command_buffer *buffer)
{
    return buffer->object.real;
}

/* Makes the real one, in the state of recording. */
static cl_int make(struct command_buffer *buffer)
{
    cl_int status = CL_SUCCESS;
    cl_command_queue queue = queue_real(buffer->queue);
    if (!command_buffer_look_up(buffer->object.driver, buffer->calls))
        return CL_INVALID_OPERATION;
    buffer->object.real =
        buffer->calls->clCreateCommandBufferKHR(1, &queue, buffer->properties, &status);
    if (status != CL_SUCCESS)
        buffer->object.real = NULL;
    return status;
}

static bool copy_properties(struct command_buffer *buffer,
                            const cl_command_buffer_properties_khr *properties)
{
    size_t words = 0;
    if (!properties)
        return true;
    while (properties[words])
        words += 2;
    words++;
    buffer->properties = malloc(words * sizeof *properties);
    if (!buffer->properties)
        return false;
    memcpy(buffer->properties, properties, words * sizeof *properties);
    buffer->num_properties = words;
    return true;
}

struct command_buffer *command_buffer_load(struct queue *queue,
                                           const cl_command_buffer_properties_khr *properties)
{
    struct command_buffer *buffer =
        object_create(KIND_COMMAND_BUFFER, sizeof *buffer, queue->object.driver);
    if (!buffer)
        return NULL;
    buffer->queue = object_hold(queue);
    buffer->calls = calloc(1, sizeof *buffer->calls);
    if (buffer->calls && copy_properties(buffer, properties))
        return buffer;
    command_buffer_destroy(buffer);
    object_discard(buffer);
    return NULL;
}

cl_int command_buffer_create(struct queue *queue,
                             const cl_command_buffer_properties_khr *properties,
                             struct command_buffer **buffer_ret)
{
    struct command_buffer *buffer = command_buffer_load(queue, properties);
    cl_int status = buffer ? make(buffer) : CL_OUT_OF_HOST_MEMORY;
    if (!buffer)
        return status;
    if (status != CL_SUCCESS) {
        command_buffer_destroy(buffer);
        object_discard(buffer);
        return status;
    }
    *buffer_ret = buffer;
    return CL_SUCCESS;
}

void recorded_destroy(struct recorded *command)
{
    if (!command)
        return;
    object_drop(command->source);
    object_drop(command->target);
    kernel_args_destroy(command->args);
    object_drop(command->kernel);
    free(command->waits);
    free(command);
}

void command_buffer_destroy(void *object)
{
    NOT_CANCELLED();
    struct command_buffer *buffer = object;
    command_buffer_release(buffer);
    for (cl_uint i = 0; i < buffer->num_commands; i++)
        recorded_destroy(buffer->commands[i]);
    free(buffer->commands);
    free(buffer->properties);
    free(buffer->calls);
    object_drop(buffer->queue);
}

cl_int command_buffer_reserve(struct command_buffer *buffer)
{
    if (buffer->num_commands < buffer->room)
        return CL_SUCCESS;
    cl_uint room = buffer->room ? buffer->room * 2 : 16;
    struct recorded **commands = realloc(buffer->commands, room * sizeof *commands);
    if (!commands)
        return CL_OUT_OF_HOST_MEMORY;
    buffer->commands = commands;
    buffer->room = room;
    return CL_SUCCESS;
}

void command_buffer_add(struct command_buffer *buffer, struct recorded *command)
{
    buffer->commands[buffer->num_commands++] = command;
}

bool command_buffer_pending(const struct command_buffer *buffer)
{
    cl_command_buffer_state_khr state = CL_COMMAND_BUFFER_STATE_EXECUTABLE_KHR;
    if (!buffer->object.real || !atomic_load(&buffer->finalized))
        return false;
    CALL(buffer->calls->clGetCommandBufferInfoKHR(buffer_real(buffer), CL_COMMAND_BUFFER_STATE_KHR,
                                                  sizeof state, &state, NULL));
    return state == CL_COMMAND_BUFFER_STATE_PENDING_KHR;
}

int command_buffer_capture(struct command_buffer *buffer, int64_t deadline, struct error *err)
{
    for (long pause = 1000; command_buffer_pending(buffer);
         pause = pause < 1000000 ? pause * 2 : pause) {
        if (now_ns() > deadline) {
            error_set(err, 0, "its last run has not ended at the deadline");
            return error_todo(err, "allow more time with --deadline");
        }
        nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
    }
    return 0;
}

void command_buffer_release(struct command_buffer *buffer)
{
    const struct driver *driver = buffer->object.driver;
    cl_command_buffer_khr real = buffer_real(buffer);
    buffer->object.real = NULL;
    /* (A driver that hangs is not asked any more: its platform is gone.) */
    if (real && buffer->calls && buffer->calls->clReleaseCommandBufferKHR && driver->platform)
        buffer->calls->clReleaseCommandBufferKHR(real);
    for (cl_uint i = 0; i < buffer->num_commands; i++) {
        cl_kernel kernel = buffer->commands[i]->real_kernel;
        buffer->commands[i]->real_kernel = NULL;
        if (kernel)
            RELEASE(driver, clReleaseKernel, kernel);
    }
}

int command_buffer_rebuild(struct command_buffer *buffer, struct error *err)
{
    cl_int status = make(buffer);
    if (status != CL_SUCCESS)
        return error_set(err, 0, "the driver can't make it again (%d)", status);
    for (cl_uint i = 0; i < buffer->num_commands; i++) {
        status = recorded_issue(buffer, buffer->commands[i]);
        if (status != CL_SUCCESS)
            return error_set(err, 0, "its command %u can't be recorded again (%d)", i + 1, status);
    }
    if (atomic_load(&buffer->finalized))
        status = buffer->calls->clFinalizeCommandBufferKHR(buffer_real(buffer));
    if (status != CL_SUCCESS)
        return error_set(err, 0, "the driver can't finalize it again (%d)", status);
    return 0;
}
