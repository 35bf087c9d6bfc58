/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.10 Executing kernels. A launch that is held back keeps the kernel's arguments as
 * they were, and goes to the driver as a kernel object of its own. */
#include <stdlib.h>
#include <string.h>

#include "shim/ask.h"
#include "shim/enqueue.h"
#include "shim/export.h"
#include "shim/launch.h"

static inline cl_int check_kernel(const struct queue *queue, const struct kernel *kernel)
{
    if (!kernel)
        return CL_INVALID_KERNEL;
    return kernel->program->context == queue->context ? CL_SUCCESS : CL_INVALID_CONTEXT;
}

static cl_int check_launch(struct queue *queue, void *args)
{
    struct launch *launch = args;
    launch->queue = queue;
    return check_kernel(queue, kernel_check((cl_kernel)launch->kernel));
}

void launch_note_group(struct kernel *kernel, cl_uint dims, const size_t *local)
{
    if (!local)
        return;
    size_t group = 1;
    for (cl_uint i = 0; i < dims; i++)
        group *= local[i];
    if (group > atomic_load_explicit(&kernel->largest_group, memory_order_relaxed))
        atomic_store_explicit(&kernel->largest_group, group, memory_order_relaxed);
}

static cl_int issue_ndrange(const struct issue *to, struct launch *launch, cl_kernel real)
{
    cl_int status = to->driver->clEnqueueNDRangeKernel(to->real, real, launch->dims, launch->offset,
                                                       launch->global, launch->local, to->num_waits,
                                                       to->waits, to->event);
    if (status == CL_SUCCESS)
        launch_note_group(launch->kernel, launch->dims, launch->local);
    return status;
}

static cl_int issue_task(const struct issue *to, struct launch *launch, cl_kernel real)
{
    return to->driver->clEnqueueTask(to->real, real, to->num_waits, to->waits, to->event);
}

typedef cl_int (*issue_kernel)(const struct issue *to, struct launch *launch, cl_kernel real);

/* The driver keeps what it needs of a kernel that is enqueued (§5.9.1). */
static cl_int issue(const struct issue *to, struct launch *launch, issue_kernel how)
{
    if (!to->held)
        return how(to, launch, kernel_real(launch->kernel));
    cl_kernel real;
    cl_int status = kernel_make(launch->kernel, launch->args->args, launch->args->execs, &real);
    if (status != CL_SUCCESS)
        return status;
    if (launch->has_offset)
        launch->offset = launch->kept[0];
    launch->global = launch->kept[1];
    if (launch->has_local)
        launch->local = launch->kept[2];
    status = how(to, launch, real);
    RELEASE(to->driver, clReleaseKernel, real);
    return status;
}

static cl_int launch_issue(const struct issue *to, void *args)
{
    return issue(to, args, issue_ndrange);
}

static cl_int task_issue(const struct issue *to, void *args)
{
    return issue(to, args, issue_task);
}

static const size_t *copy_sizes(size_t *to, const size_t *from, cl_uint dims)
{
    if (from)
        memcpy(to, from, dims * sizeof *from);
    return from ? to : NULL;
}

/* OpenCL 2.1 allows a launch of nothing. */
static bool is_empty(const struct launch *launch)
{
    bool empty = !launch->global;
    for (cl_uint i = 0; i < launch->dims && !empty; i++)
        empty = !launch->global[i];
    return empty;
}

static cl_int launch_ask(struct queue *queue, void *args)
{
    cl_int status = launch_validate(args);
    return status == CL_SUCCESS && is_empty(args) ? ask_empty(queue, launch_issue, args) : status;
}

static cl_int launch_keep(struct queue *queue, void *args)
{
    struct launch *launch = args;
    launch->args = kernel_args_create(launch->kernel);
    if (!launch->args)
        return CL_OUT_OF_HOST_MEMORY;
    memset(launch->kept, 0, sizeof launch->kept); /* no global size is one of nothing */
    launch->has_offset = copy_sizes(launch->kept[0], launch->offset, launch->dims) != NULL;
    copy_sizes(launch->kept[1], launch->global, launch->dims);
    launch->has_local = copy_sizes(launch->kept[2], launch->local, launch->dims) != NULL;
    launch_note_group(launch->kernel, launch->dims, launch->local);
    object_hold(launch->kernel);
    return CL_SUCCESS;
}

static void launch_drop(void *args)
{
    struct launch *launch = args;
    kernel_args_destroy(launch->args);
    object_drop(launch->kernel);
}

static void launch_wrote(const struct issue *to, const void *args)
{
    const struct launch *launch = args;
    if (to->held)
        kernel_args_wrote(launch->kernel, launch->args);
    else
        kernel_wrote(launch->kernel);
}

static cl_int launch_needs(const struct issue *to, const void *args)
{
    const struct launch *launch = args;
    return kernel_needs(launch->kernel, to->held ? launch->args->args : launch->kernel->args,
                        lazy_need);
}

static const struct command_type ndrange = {
    .name = "clEnqueueNDRangeKernel",
    .type = CL_COMMAND_NDRANGE_KERNEL,
    .size = sizeof(struct launch),
    .check = check_launch,
    .issue = launch_issue,
    .keep = launch_keep,
    .drop = launch_drop,
    .wrote = launch_wrote,
    .needs = launch_needs,
    .ask = launch_ask,
};

static const struct command_type task = {
    .name = "clEnqueueTask",
    .type = CL_COMMAND_TASK,
    .size = sizeof(struct launch),
    .check = check_launch,
    .issue = task_issue,
    .keep = launch_keep,
    .drop = launch_drop,
    .wrote = launch_wrote,
    .needs = launch_needs,
    .ask = launch_ask,
};

/* The same without a struct of arguments: see plain_enqueue. */
static inline cl_int launch_plainly(const struct plain_enqueue *plain, cl_kernel handle,
                                    cl_uint dims, const size_t *offset, const size_t *global,
                                    const size_t *local)
{
    struct queue *queue = plain->queue;
    struct kernel *kernel = kernel_check(handle);
    cl_int err = check_kernel(queue, kernel);
    if (err != CL_SUCCESS)
        return err;
    err = queue->object.driver->clEnqueueNDRangeKernel(
        queue_real(queue), kernel_real(kernel), dims, offset, global, local, 0, NULL, plain->event);
    if (err == CL_SUCCESS && local)
        launch_note_group(kernel, dims, local);
    kernel_wrote(kernel);
    return err;
}

EXPORT cl_int CL_API_CALL clEnqueueNDRangeKernel(cl_command_queue command_queue, cl_kernel kernel,
                                                 cl_uint work_dim, const size_t *global_work_offset,
                                                 const size_t *global_work_size,
                                                 const size_t *local_work_size,
                                                 cl_uint num_events_in_wait_list,
                                                 const cl_event *event_wait_list, cl_event *event)
{
    struct plain_enqueue plain;
    if (work_dim >= 1 && work_dim <= 3 &&
        plain_begin(&plain, &ndrange, command_queue, num_events_in_wait_list, event_wait_list,
                    event))
        return plain_end(&plain,
                         launch_plainly(&plain, kernel, work_dim, global_work_offset,
                                        global_work_size, local_work_size),
                         event);
    struct launch launch;
    launch.kernel = (struct kernel *)kernel;
    launch.dims = work_dim;
    launch.offset = global_work_offset;
    launch.global = global_work_size;
    launch.local = local_work_size;
    if (work_dim < 1 || work_dim > 3)
        return queue_check(command_queue) ? CL_INVALID_WORK_DIMENSION : CL_INVALID_COMMAND_QUEUE;
    return enqueue(command_queue, &ndrange, &launch, CL_FALSE, num_events_in_wait_list,
                   event_wait_list, event);
}

EXPORT cl_int CL_API_CALL clEnqueueTask(cl_command_queue command_queue, cl_kernel kernel,
                                        cl_uint num_events_in_wait_list,
                                        const cl_event *event_wait_list, cl_event *event)
{
    static const size_t one = 1;
    struct launch launch;
    launch.kernel = (struct kernel *)kernel;
    launch.dims = 1;
    launch.offset = NULL;
    launch.global = &one;
    launch.local = &one;
    return enqueue(command_queue, &task, &launch, CL_FALSE, num_events_in_wait_list,
                   event_wait_list, event);
}
