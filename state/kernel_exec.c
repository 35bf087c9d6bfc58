/* SPDX-License-Identifier: Apache-2.0 */
/* What clSetKernelExecInfo has told of a kernel (OpenCL 3.0 §5.9.3): the last of each parameter. */
#include <stdlib.h>
#include <string.h>

#include "state/kernel.h"
#include "state/svm.h"

static bool record(struct kernel_exec **list, cl_kernel_exec_info param, size_t size,
                   const void *value)
{
    unsigned char *copy = malloc(size ? size : 1);
    struct kernel_exec *exec = *list;
    while (exec && exec->param != param)
        exec = exec->next;
    if (!exec && copy && (exec = calloc(1, sizeof *exec))) {
        exec->param = param;
        exec->next = *list;
        *list = exec;
    }
    if (!exec || !copy) {
        free(copy);
        return false;
    }
    if (size)
        memcpy(copy, value, size);
    free(exec->value);
    exec->value = copy;
    exec->size = size;
    return true;
}

bool kernel_execs_copy(struct kernel_exec **to, const struct kernel_exec *from)
{
    for (; from; from = from->next)
        if (!record(to, from->param, from->size, from->value))
            return false;
    return true;
}

void kernel_execs_finish(struct kernel_exec **list)
{
    while (*list) {
        struct kernel_exec *exec = *list;
        *list = exec->next;
        free(exec->value);
        free(exec);
    }
}

/* The pointers to live allocations, so many; the caller's. NULL without memory. */
static const void **live_pointers(const struct kernel_exec *exec, size_t *count)
{
    void *const *pointers = (void *const *)exec->value;
    const void **live = malloc(exec->size + 1);
    *count = 0;
    for (size_t i = 0; live && i < exec->size / sizeof *pointers; i++)
        if (svm_contains(pointers[i]))
            live[(*count)++] = pointers[i];
    return live;
}

/* As with an argument, memory that was freed since is left out. (A device may take any pointer: so
 * all are tried first.) */
static cl_int apply_live(const struct driver *driver, cl_kernel real,
                         const struct kernel_exec *exec, cl_int refused)
{
    size_t count;
    const void **live = live_pointers(exec, &count);
    cl_int err = live ? refused : CL_OUT_OF_HOST_MEMORY;
    bool fewer = live && count < exec->size / sizeof *live;
    if (fewer && count == 0)
        err = CL_SUCCESS;
    else if (fewer && driver->clSetKernelExecInfo)
        err = driver->clSetKernelExecInfo(real, exec->param, count * sizeof *live, live);
    free(live);
    return err;
}

cl_int kernel_exec_apply(const struct driver *driver, cl_kernel real,
                         const struct kernel_exec *exec)
{
    bool lists = exec->param == CL_KERNEL_EXEC_INFO_SVM_PTRS;
    cl_int err = driver->clSetKernelExecInfo
                     ? driver->clSetKernelExecInfo(real, exec->param, exec->size, exec->value)
                     : CL_INVALID_OPERATION;
    return err != CL_SUCCESS && lists ? apply_live(driver, real, exec, err) : err;
}

cl_int kernel_set_exec(struct kernel *kernel, cl_kernel_exec_info param, size_t size,
                       const void *value)
{
    cl_int err =
        kernel->object.driver->clSetKernelExecInfo(kernel_real(kernel), param, size, value);
    if (err != CL_SUCCESS)
        return err;
    atomic_store_explicit(&kernel->noted, 0, memory_order_relaxed);
    return record(&kernel->execs, param, size, value) ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
}

bool kernel_exec_load(struct kernel *kernel, cl_kernel_exec_info param, size_t size,
                      const void *value)
{
    return record(&kernel->execs, param, size, value);
}

void kernel_exec_drop(struct kernel *kernel, struct kernel_exec *exec)
{
    struct kernel_exec **at = &kernel->execs;
    while (*at != exec)
        at = &(*at)->next;
    *at = exec->next;
    free(exec->value);
    free(exec);
}
