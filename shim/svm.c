/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.6: shared virtual memory, allocated and freed, copied, filled, mapped, migrated. */
#include "state/svm.h"

#include <stdlib.h>
#include <string.h>

#include "shim/enqueue.h"
#include "shim/export.h"
#include "shim/gate.h"
#include "shim/transfer.h"

EXPORT void *CL_API_CALL clSVMAlloc(cl_context context, cl_svm_mem_flags flags, size_t size,
                                    cl_uint alignment)
{
    struct context *owner = context_check(context);
    if (!owner)
        return NULL;
    GATE(clSVMAlloc);
    return svm_alloc(owner, flags, size, alignment);
}

EXPORT void CL_API_CALL clSVMFree(cl_context context, void *svm_pointer)
{
    struct context *owner = context_check(context);
    if (!owner)
        return;
    GATE(clSVMFree);
    svm_free(owner, svm_pointer);
}

/* The application's pointers and sizes; kept as copies. */
struct svm_list {
    cl_uint count;
    void **pointers;
    const size_t *sizes; /* may be NULL */
};

static bool copy_list(struct svm_list *list)
{
    void **pointers = malloc(list->count * sizeof *pointers);
    size_t *sizes = list->sizes ? malloc(list->count * sizeof *sizes) : NULL;
    if (!pointers || (list->sizes && !sizes)) {
        free(pointers);
        free(sizes);
        return false;
    }
    memcpy(pointers, list->pointers, list->count * sizeof *pointers);
    if (sizes)
        memcpy(sizes, list->sizes, list->count * sizeof *sizes);
    list->pointers = pointers;
    list->sizes = sizes;
    return true;
}

static void free_list(struct svm_list *list)
{
    free(list->pointers);
    free((size_t *)list->sizes);
}

typedef void(CL_CALLBACK *free_function)(cl_command_queue queue, cl_uint num_pointers,
                                         void *pointers[], void *data);

struct svm_release {
    struct svm_list list;
    free_function function; /* the application's, or NULL: as clSVMFree does */
    void *data;
};

/* What the driver calls when it is time to free. */
struct releaser {
    struct queue *queue; /* held */
    free_function function;
    void *data;
};

/* The real queue is not for the application. Its code, and ours, may call while a suspend drains.
 */
static void CL_CALLBACK release_in_driver(cl_command_queue real, cl_uint num_pointers,
                                          void *pointers[], void *data)
{
    struct releaser *releaser = data;
    struct queue *queue = releaser->queue;
    gate_lend();
    gate_enter("clEnqueueSVMFree");
    if (releaser->function)
        releaser->function((cl_command_queue)queue, num_pointers, pointers, releaser->data);
    else
        for (cl_uint i = 0; i < num_pointers; i++)
            svm_free(queue->context, pointers[i]);
    object_drop(queue);
    gate_leave();
    gate_unlend();
    free(releaser);
}

static cl_int check_release(struct queue *queue, void *data)
{
    const struct svm_release *args = data;
    if (!queue->object.driver->clEnqueueSVMFree)
        return CL_INVALID_OPERATION;
    return (args->list.count == 0) == (args->list.pointers == NULL) ? CL_SUCCESS : CL_INVALID_VALUE;
}

static cl_int issue_release(const struct issue *to, void *data)
{
    const struct svm_release *args = data;
    struct releaser *releaser = malloc(sizeof *releaser);
    if (!releaser)
        return CL_OUT_OF_HOST_MEMORY;
    *releaser = (struct releaser){object_hold(to->queue), args->function, args->data};
    cl_int err = to->driver->clEnqueueSVMFree(to->real, args->list.count, args->list.pointers,
                                              release_in_driver, releaser, to->num_waits, to->waits,
                                              to->event);
    if (err != CL_SUCCESS) {
        object_drop(to->queue);
        free(releaser);
    }
    return err;
}

static cl_int keep_release(struct queue *queue, void *data)
{
    return copy_list(&((struct svm_release *)data)->list) ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
}

static void drop_release(void *data)
{
    free_list(&((struct svm_release *)data)->list);
}

/* The application's function may make calls from inside the driver: see native_needs. */
static cl_int release_needs(const struct issue *to, const void *args)
{
    return ((const struct svm_release *)args)->function ? lazy_need_all() : CL_SUCCESS;
}

static const struct command_type svm_free_type = {"clEnqueueSVMFree",
                                                  CL_COMMAND_SVM_FREE,
                                                  0,
                                                  sizeof(struct svm_release),
                                                  check_release,
                                                  issue_release,
                                                  keep_release,
                                                  drop_release,
                                                  NULL,
                                                  release_needs,
                                                  NULL};

EXPORT cl_int CL_API_CALL
clEnqueueSVMFree(cl_command_queue command_queue, cl_uint num_svm_pointers, void *svm_pointers[],
                 void(CL_CALLBACK *pfn_free_func)(cl_command_queue queue, cl_uint num_svm_pointers,
                                                  void *svm_pointers[], void *user_data),
                 void *user_data, cl_uint num_events_in_wait_list, const cl_event *event_wait_list,
                 cl_event *event)
{
    struct svm_release args = {{num_svm_pointers, svm_pointers, NULL}, pfn_free_func, user_data};
    return enqueue(command_queue, &svm_free_type, &args, CL_FALSE, num_events_in_wait_list,
                   event_wait_list, event);
}

struct svm_migration {
    struct svm_list list;
    cl_mem_migration_flags flags;
};

static cl_int check_migration(struct queue *queue, void *data)
{
    const struct svm_migration *args = data;
    if (!queue->object.driver->clEnqueueSVMMigrateMem)
        return CL_INVALID_OPERATION;
    return args->list.count && args->list.pointers ? CL_SUCCESS : CL_INVALID_VALUE;
}

static cl_int issue_migration(const struct issue *to, void *data)
{
    const struct svm_migration *args = data;
    return to->driver->clEnqueueSVMMigrateMem(to->real, args->list.count,
                                              (const void **)args->list.pointers, args->list.sizes,
                                              args->flags, to->num_waits, to->waits, to->event);
}

static cl_int keep_migration(struct queue *queue, void *data)
{
    struct svm_migration *args = data;
    if (transfer_check_migration(args->flags) != CL_SUCCESS)
        return CL_INVALID_VALUE;
    for (cl_uint i = 0; i < args->list.count; i++)
        if (!svm_contains(args->list.pointers[i]))
            return CL_INVALID_VALUE;
    return copy_list(&args->list) ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
}

static void drop_migration(void *data)
{
    free_list(&((struct svm_migration *)data)->list);
}

static const struct command_type svm_migrate_type = {"clEnqueueSVMMigrateMem",
                                                     CL_COMMAND_SVM_MIGRATE_MEM,
                                                     0,
                                                     sizeof(struct svm_migration),
                                                     check_migration,
                                                     issue_migration,
                                                     keep_migration,
                                                     drop_migration,
                                                     NULL,
                                                     NULL,
                                                     NULL};

EXPORT cl_int CL_API_CALL clEnqueueSVMMigrateMem(cl_command_queue command_queue,
                                                 cl_uint num_svm_pointers,
                                                 const void **svm_pointers, const size_t *sizes,
                                                 cl_mem_migration_flags flags,
                                                 cl_uint num_events_in_wait_list,
                                                 const cl_event *event_wait_list, cl_event *event)
{
    struct svm_migration args = {{num_svm_pointers, (void **)svm_pointers, sizes}, flags};
    return enqueue(command_queue, &svm_migrate_type, &args, CL_FALSE, num_events_in_wait_list,
                   event_wait_list, event);
}
