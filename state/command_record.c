/* SPDX-License-Identifier: Apache-2.0 */
/* How a recorded command is given to the driver: at its recording, and again at each rebuild. */
#include <stdlib.h>

#include "state/command_buffer.h"

/* Where a command goes; all handles are the driver's. */
struct into {
    const struct command_buffer_calls *calls;
    cl_command_buffer_khr buffer;
    cl_uint num_waits;
    const cl_sync_point_khr *waits;
};

static cl_int issue_barrier(const struct into *to, struct recorded *command)
{
    return to->calls->clCommandBarrierWithWaitListKHR(to->buffer, NULL, to->num_waits, to->waits,
                                                      &command->real, NULL);
}

static cl_int issue_copy(const struct into *to, struct recorded *command)
{
    return to->calls->clCommandCopyBufferKHR(
        to->buffer, NULL, mem_real(command->source), mem_real(command->target), command->offset,
        command->other_offset, command->size, to->num_waits, to->waits, &command->real, NULL);
}

static cl_int issue_copy_rect(const struct into *to, struct recorded *command)
{
    return to->calls->clCommandCopyBufferRectKHR(
        to->buffer, NULL, mem_real(command->source), mem_real(command->target), command->sizes[0],
        command->sizes[1], command->sizes[2], command->pitches[0], command->pitches[1],
        command->pitches[2], command->pitches[3], to->num_waits, to->waits, &command->real, NULL);
}

static cl_int issue_to_image(const struct into *to, struct recorded *command)
{
    return to->calls->clCommandCopyBufferToImageKHR(
        to->buffer, NULL, mem_real(command->source), mem_real(command->target), command->offset,
        command->sizes[1], command->sizes[2], to->num_waits, to->waits, &command->real, NULL);
}

static cl_int issue_copy_image(const struct into *to, struct recorded *command)
{
    return to->calls->clCommandCopyImageKHR(
        to->buffer, NULL, mem_real(command->source), mem_real(command->target), command->sizes[0],
        command->sizes[1], command->sizes[2], to->num_waits, to->waits, &command->real, NULL);
}

static cl_int issue_to_buffer(const struct into *to, struct recorded *command)
{
    return to->calls->clCommandCopyImageToBufferKHR(
        to->buffer, NULL, mem_real(command->source), mem_real(command->target), command->sizes[0],
        command->sizes[2], command->other_offset, to->num_waits, to->waits, &command->real, NULL);
}

static cl_int issue_fill(const struct into *to, struct recorded *command)
{
    return to->calls->clCommandFillBufferKHR(
        to->buffer, NULL, mem_real(command->target), command->pattern, command->pattern_size,
        command->offset, command->size, to->num_waits, to->waits, &command->real, NULL);
}

static cl_int issue_fill_image(const struct into *to, struct recorded *command)
{
    return to->calls->clCommandFillImageKHR(to->buffer, NULL, mem_real(command->target),
                                            command->pattern, command->sizes[1], command->sizes[2],
                                            to->num_waits, to->waits, &command->real, NULL);
}

/* The driver gets a kernel of ours with the arguments as they were: pocl 3.1 takes those that the
 * kernel has when the command buffer is enqueued. */
static cl_int issue_kernel(const struct into *to, struct recorded *command)
{
    cl_int status = kernel_make(command->kernel, command->args->args, command->args->execs,
                                &command->real_kernel);
    if (status != CL_SUCCESS)
        return status;
    status = to->calls->clCommandNDRangeKernelKHR(to->buffer, NULL, NULL, command->real_kernel,
                                                  command->dims,
                                                  command->has_offset ? command->sizes[0] : NULL,
                                                  command->has_global ? command->sizes[1] : NULL,
                                                  command->has_local ? command->sizes[2] : NULL,
                                                  to->num_waits, to->waits, &command->real, NULL);
    if (status == CL_SUCCESS)
        return CL_SUCCESS;
    RELEASE(command->kernel->object.driver, clReleaseKernel, command->real_kernel);
    command->real_kernel = NULL;
    return status;
}

static cl_int (*const issues[])(const struct into *to, struct recorded *command) = {
    [RECORDED_BARRIER] = issue_barrier,
    [RECORDED_COPY] = issue_copy,
    [RECORDED_COPY_RECT] = issue_copy_rect,
    [RECORDED_TO_IMAGE] = issue_to_image,
    [RECORDED_COPY_IMAGE] = issue_copy_image,
    [RECORDED_TO_BUFFER] = issue_to_buffer,
    [RECORDED_FILL] = issue_fill,
    [RECORDED_FILL_IMAGE] = issue_fill_image,
    [RECORDED_KERNEL] = issue_kernel,
};

cl_int recorded_issue(struct command_buffer *buffer, struct recorded *command)
{
    cl_sync_point_khr *waits = NULL;
    if (command->num_waits && !(waits = malloc(command->num_waits * sizeof *waits)))
        return CL_OUT_OF_HOST_MEMORY;
    for (cl_uint i = 0; i < command->num_waits; i++)
        waits[i] = buffer->commands[command->waits[i] - 1]->real;
    struct into to = {buffer->calls, buffer->object.real, command->num_waits, waits};
    cl_int status = issues[command->kind](&to, command);
    free(waits);
    return status;
}
