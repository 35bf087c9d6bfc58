/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.2.2 to §5.2.4: reading, writing, copying and filling buffers; §5.5.5: migration.
 * Rectangles are in shim/rect.c. */
#include "shim/transfer.h"

#include <stdlib.h>
#include <string.h>

#include "shim/ask.h"
#include "shim/enqueue.h"
#include "shim/export.h"

cl_int transfer_check_buffer(struct queue *queue, union buffer *buffer)
{
    struct mem *mem = buffer_check(buffer->handle);
    if (!mem)
        return CL_INVALID_MEM_OBJECT;
    if (mem->context != queue->context)
        return CL_INVALID_CONTEXT;
    buffer->mem = mem;
    return CL_SUCCESS;
}

static cl_int check_range(const struct mem *mem, size_t offset, size_t size)
{
    /* An empty range was an error before OpenCL 2.1: the driver decides. */
    return offset > mem->size || size > mem->size - offset ? CL_INVALID_VALUE : CL_SUCCESS;
}

/* §5.2.2: CL_MEM_HOST_WRITE_ONLY and NO_ACCESS can't be read, READ_ONLY and NO_ACCESS not written.
 */
cl_int transfer_check_access(const struct mem *mem, bool write)
{
    cl_mem_flags forbidden =
        CL_MEM_HOST_NO_ACCESS | (write ? CL_MEM_HOST_READ_ONLY : CL_MEM_HOST_WRITE_ONLY);
    return mem->flags & forbidden ? CL_INVALID_OPERATION : CL_SUCCESS;
}

struct linear {
    union buffer buffer;
    size_t offset, size;
    void *pointer;
};

static inline cl_int check_linear(const struct queue *queue, const struct mem *mem, size_t offset,
                                  size_t size, const void *pointer, bool write)
{
    if (!mem)
        return CL_INVALID_MEM_OBJECT;
    if (mem->context != queue->context)
        return CL_INVALID_CONTEXT;
    if (!pointer || check_range(mem, offset, size) != CL_SUCCESS)
        return CL_INVALID_VALUE;
    return transfer_check_access(mem, write);
}

static cl_int linear_check(struct queue *queue, struct linear *args, bool write)
{
    return check_linear(queue, buffer_check(args->buffer.handle), args->offset, args->size,
                        args->pointer, write);
}

static cl_int linear_ask(struct queue *queue, struct linear *args, ask_command *issue)
{
    cl_int err = ask_alignment(queue, args->buffer.mem);
    if (err == CL_SUCCESS && !args->size)
        err = ask_empty(queue, issue, args);
    return err;
}

static cl_int linear_keep(struct queue *queue, void *args)
{
    object_hold(((struct linear *)args)->buffer.mem);
    return CL_SUCCESS;
}

static void linear_drop(void *args)
{
    object_drop(((struct linear *)args)->buffer.mem);
}

static cl_int linear_needs(const struct issue *to, const void *args)
{
    return lazy_need(((const struct linear *)args)->buffer.mem);
}

static cl_int read_check(struct queue *queue, void *args)
{
    return linear_check(queue, args, false);
}

static cl_int read_issue(const struct issue *to, void *data)
{
    struct linear *args = data;
    return to->driver->clEnqueueReadBuffer(to->real, mem_real(args->buffer.mem), to->blocking,
                                           args->offset, args->size, args->pointer, to->num_waits,
                                           to->waits, to->event);
}

static cl_int read_ask(struct queue *queue, void *args)
{
    return linear_ask(queue, args, read_issue);
}

static const struct command_type read_type = {"clEnqueueReadBuffer",
                                              CL_COMMAND_READ_BUFFER,
                                              0,
                                              sizeof(struct linear),
                                              read_check,
                                              read_issue,
                                              linear_keep,
                                              linear_drop,
                                              NULL,
                                              linear_needs,
                                              read_ask};

/* The same without a struct of arguments: see plain_enqueue. */
static inline cl_int read_plainly(const struct plain_enqueue *plain, cl_mem handle,
                                  cl_bool blocking, size_t offset, size_t size, void *pointer)
{
    struct queue *queue = plain->queue;
    struct mem *mem = buffer_check(handle);
    cl_int err = check_linear(queue, mem, offset, size, pointer, false);
    if (err != CL_SUCCESS)
        return err;
    return queue->object.driver->clEnqueueReadBuffer(queue_real(queue), mem_real(mem), blocking,
                                                     offset, size, pointer, 0, NULL, plain->event);
}

EXPORT cl_int CL_API_CALL clEnqueueReadBuffer(cl_command_queue command_queue, cl_mem buffer,
                                              cl_bool blocking_read, size_t offset, size_t size,
                                              void *ptr, cl_uint num_events_in_wait_list,
                                              const cl_event *event_wait_list, cl_event *event)
{
    struct plain_enqueue plain;
    if (plain_begin(&plain, &read_type, command_queue, num_events_in_wait_list, event_wait_list,
                    event))
        return plain_end(&plain, read_plainly(&plain, buffer, blocking_read, offset, size, ptr),
                         event);
    struct linear args = {{buffer}, offset, size, ptr};
    return enqueue(command_queue, &read_type, &args, blocking_read, num_events_in_wait_list,
                   event_wait_list, event);
}

static cl_int write_check(struct queue *queue, void *args)
{
    return linear_check(queue, args, true);
}

static cl_int write_issue(const struct issue *to, void *data)
{
    struct linear *args = data;
    return to->driver->clEnqueueWriteBuffer(to->real, mem_real(args->buffer.mem), to->blocking,
                                            args->offset, args->size, args->pointer, to->num_waits,
                                            to->waits, to->event);
}

static void write_wrote(const struct issue *to, const void *args)
{
    mem_wrote(((const struct linear *)args)->buffer.mem);
}

static cl_int write_ask(struct queue *queue, void *args)
{
    return linear_ask(queue, args, write_issue);
}

static const struct command_type write_type = {"clEnqueueWriteBuffer",
                                               CL_COMMAND_WRITE_BUFFER,
                                               0,
                                               sizeof(struct linear),
                                               write_check,
                                               write_issue,
                                               linear_keep,
                                               linear_drop,
                                               write_wrote,
                                               linear_needs,
                                               write_ask};

static inline cl_int write_plainly(const struct plain_enqueue *plain, cl_mem handle,
                                   cl_bool blocking, size_t offset, size_t size,
                                   const void *pointer)
{
    struct queue *queue = plain->queue;
    struct mem *mem = buffer_check(handle);
    cl_int err = check_linear(queue, mem, offset, size, pointer, true);
    if (err != CL_SUCCESS)
        return err;
    err = queue->object.driver->clEnqueueWriteBuffer(queue_real(queue), mem_real(mem), blocking,
                                                     offset, size, pointer, 0, NULL, plain->event);
    mem_wrote(mem);
    return err;
}

EXPORT cl_int CL_API_CALL clEnqueueWriteBuffer(cl_command_queue command_queue, cl_mem buffer,
                                               cl_bool blocking_write, size_t offset, size_t size,
                                               const void *ptr, cl_uint num_events_in_wait_list,
                                               const cl_event *event_wait_list, cl_event *event)
{
    struct plain_enqueue plain;
    if (plain_begin(&plain, &write_type, command_queue, num_events_in_wait_list, event_wait_list,
                    event))
        return plain_end(&plain, write_plainly(&plain, buffer, blocking_write, offset, size, ptr),
                         event);
    struct linear args = {{buffer}, offset, size, (void *)ptr};
    return enqueue(command_queue, &write_type, &args, blocking_write, num_events_in_wait_list,
                   event_wait_list, event);
}

struct copy {
    union buffer source, destination;
    size_t source_offset, destination_offset, size;
};

static cl_int copy_check(struct queue *queue, void *data)
{
    struct copy *args = data;
    cl_int err = transfer_check_buffer(queue, &args->source);
    if (err == CL_SUCCESS)
        err = transfer_check_buffer(queue, &args->destination);
    if (err == CL_SUCCESS)
        err = check_range(args->source.mem, args->source_offset, args->size);
    if (err == CL_SUCCESS)
        err = check_range(args->destination.mem, args->destination_offset, args->size);
    return err;
}

bool transfer_same_bytes(const struct mem *a, const struct mem *b)
{
    return a == b || (a->parent && a->parent == b->parent);
}

static void copy_drop(void *data)
{
    struct copy *args = data;
    object_drop(args->source.mem);
    object_drop(args->destination.mem);
}

static cl_int copy_issue(const struct issue *to, void *data)
{
    struct copy *args = data;
    return to->driver->clEnqueueCopyBuffer(
        to->real, mem_real(args->source.mem), mem_real(args->destination.mem), args->source_offset,
        args->destination_offset, args->size, to->num_waits, to->waits, to->event);
}

static cl_int copy_ask(struct queue *queue, void *data)
{
    struct copy *args = data;
    size_t from = args->source.mem->origin + args->source_offset;
    size_t to = args->destination.mem->origin + args->destination_offset;
    if (transfer_same_bytes(args->source.mem, args->destination.mem) &&
        transfer_distance(from, to) < args->size)
        return CL_MEM_COPY_OVERLAP;
    cl_int err = ask_alignment(queue, args->source.mem);
    if (err == CL_SUCCESS)
        err = ask_alignment(queue, args->destination.mem);
    if (err == CL_SUCCESS && !args->size)
        err = ask_empty(queue, copy_issue, args);
    return err;
}

static cl_int copy_keep(struct queue *queue, void *data)
{
    struct copy *args = data;
    object_hold(args->source.mem);
    object_hold(args->destination.mem);
    return CL_SUCCESS;
}

static void copy_wrote(const struct issue *to, const void *args)
{
    mem_wrote(((const struct copy *)args)->destination.mem);
}

static cl_int copy_needs(const struct issue *to, const void *args)
{
    const struct copy *copy = args;
    return lazy_need_both(copy->source.mem, copy->destination.mem);
}

static const struct command_type copy_type = {"clEnqueueCopyBuffer",
                                              CL_COMMAND_COPY_BUFFER,
                                              0,
                                              sizeof(struct copy),
                                              copy_check,
                                              copy_issue,
                                              copy_keep,
                                              copy_drop,
                                              copy_wrote,
                                              copy_needs,
                                              copy_ask};

EXPORT cl_int CL_API_CALL clEnqueueCopyBuffer(cl_command_queue command_queue, cl_mem src_buffer,
                                              cl_mem dst_buffer, size_t src_offset,
                                              size_t dst_offset, size_t size,
                                              cl_uint num_events_in_wait_list,
                                              const cl_event *event_wait_list, cl_event *event)
{
    struct copy args = {{src_buffer}, {dst_buffer}, src_offset, dst_offset, size};
    return enqueue(command_queue, &copy_type, &args, CL_FALSE, num_events_in_wait_list,
                   event_wait_list, event);
}

/* §5.2.4: the largest pattern is a cl_double16. */
#define PATTERN_LARGEST 128

struct fill {
    union buffer buffer;
    size_t offset, size, pattern_size;
    const void *pattern; /* the application's; kept in the bytes below */
    unsigned char kept[PATTERN_LARGEST];
};

static cl_int fill_check(struct queue *queue, void *data)
{
    struct fill *args = data;
    cl_int err = transfer_check_buffer(queue, &args->buffer);
    if (err != CL_SUCCESS)
        return err;
    size_t pattern = args->pattern_size;
    if (!args->pattern || pattern == 0 || pattern > PATTERN_LARGEST || (pattern & (pattern - 1)) ||
        args->offset % pattern || args->size % pattern)
        return CL_INVALID_VALUE;
    return args->offset > args->buffer.mem->size ||
                   args->size > args->buffer.mem->size - args->offset
               ? CL_INVALID_VALUE
               : CL_SUCCESS;
}

static void fill_drop(void *data)
{
    object_drop(((struct fill *)data)->buffer.mem);
}

static cl_int fill_issue(const struct issue *to, void *data)
{
    struct fill *args = data;
    return to->driver->clEnqueueFillBuffer(
        to->real, mem_real(args->buffer.mem), args->pattern ? args->pattern : args->kept,
        args->pattern_size, args->offset, args->size, to->num_waits, to->waits, to->event);
}

static cl_int fill_ask(struct queue *queue, void *data)
{
    struct fill *args = data;
    cl_int err = ask_alignment(queue, args->buffer.mem);
    if (err == CL_SUCCESS && !args->size)
        err = ask_empty(queue, fill_issue, args);
    return err;
}

static cl_int fill_keep(struct queue *queue, void *data)
{
    struct fill *args = data;
    memcpy(args->kept, args->pattern, args->pattern_size);
    args->pattern = NULL;
    object_hold(args->buffer.mem);
    return CL_SUCCESS;
}

static void fill_wrote(const struct issue *to, const void *args)
{
    mem_wrote(((const struct fill *)args)->buffer.mem);
}

static cl_int fill_needs(const struct issue *to, const void *args)
{
    return lazy_need(((const struct fill *)args)->buffer.mem);
}

static const struct command_type fill_type = {"clEnqueueFillBuffer",
                                              CL_COMMAND_FILL_BUFFER,
                                              0,
                                              sizeof(struct fill),
                                              fill_check,
                                              fill_issue,
                                              fill_keep,
                                              fill_drop,
                                              fill_wrote,
                                              fill_needs,
                                              fill_ask};

EXPORT cl_int CL_API_CALL clEnqueueFillBuffer(cl_command_queue command_queue, cl_mem buffer,
                                              const void *pattern, size_t pattern_size,
                                              size_t offset, size_t size,
                                              cl_uint num_events_in_wait_list,
                                              const cl_event *event_wait_list, cl_event *event)
{
    struct fill args;
    args.buffer.handle = buffer;
    args.offset = offset;
    args.size = size;
    args.pattern = pattern;
    args.pattern_size = pattern_size;
    return enqueue(command_queue, &fill_type, &args, CL_FALSE, num_events_in_wait_list,
                   event_wait_list, event);
}

struct migrate {
    cl_uint count;
    const cl_mem *handles; /* the application's array; kept: an owned copy */
    cl_mem_migration_flags flags;
};

static cl_int migrate_check(struct queue *queue, void *data)
{
    struct migrate *args = data;
    if (!args->count || !args->handles)
        return CL_INVALID_VALUE;
    for (cl_uint i = 0; i < args->count; i++) {
        struct mem *mem = mem_check(args->handles[i]);
        if (!mem)
            return CL_INVALID_MEM_OBJECT;
        if (mem->context != queue->context)
            return CL_INVALID_CONTEXT;
    }
    return CL_SUCCESS;
}

cl_int transfer_check_migration(cl_mem_migration_flags flags)
{
    const cl_mem_migration_flags known =
        CL_MIGRATE_MEM_OBJECT_HOST | CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED;
    return flags & ~known ? CL_INVALID_VALUE : CL_SUCCESS;
}

static cl_int migrate_keep(struct queue *queue, void *data)
{
    struct migrate *args = data;
    if (transfer_check_migration(args->flags) != CL_SUCCESS)
        return CL_INVALID_VALUE;
    cl_mem *copy = malloc(args->count * sizeof *copy);
    if (!copy)
        return CL_OUT_OF_HOST_MEMORY;
    for (cl_uint i = 0; i < args->count; i++)
        copy[i] = object_hold(args->handles[i]);
    args->handles = copy;
    return CL_SUCCESS;
}

static void migrate_drop(void *data)
{
    struct migrate *args = data;
    for (cl_uint i = 0; i < args->count; i++)
        object_drop(args->handles[i]);
    free((void *)args->handles);
}

static cl_int migrate_issue(const struct issue *to, void *data)
{
    struct migrate *args = data;
    cl_mem *real = malloc(args->count * sizeof *real);
    if (!real)
        return CL_OUT_OF_HOST_MEMORY;
    for (cl_uint i = 0; i < args->count; i++)
        real[i] = mem_real((struct mem *)args->handles[i]);
    cl_int err = to->driver->clEnqueueMigrateMemObjects(to->real, args->count, real, args->flags,
                                                        to->num_waits, to->waits, to->event);
    free(real);
    return err;
}

/* CL_MIGRATE_MEM_OBJECT_CONTENT_UNDEFINED: whatever the bytes are then, they may be others. */
static void migrate_wrote(const struct issue *to, const void *data)
{
    const struct migrate *args = data;
    for (cl_uint i = 0; i < args->count; i++)
        mem_wrote((struct mem *)args->handles[i]);
}

static cl_int migrate_needs(const struct issue *to, const void *data)
{
    const struct migrate *args = data;
    cl_int err = CL_SUCCESS;
    for (cl_uint i = 0; i < args->count && err == CL_SUCCESS; i++)
        err = lazy_need((struct mem *)args->handles[i]);
    return err;
}

static const struct command_type migrate_type = {"clEnqueueMigrateMemObjects",
                                                 CL_COMMAND_MIGRATE_MEM_OBJECTS,
                                                 0,
                                                 sizeof(struct migrate),
                                                 migrate_check,
                                                 migrate_issue,
                                                 migrate_keep,
                                                 migrate_drop,
                                                 migrate_wrote,
                                                 migrate_needs,
                                                 NULL};

EXPORT cl_int CL_API_CALL clEnqueueMigrateMemObjects(
    cl_command_queue command_queue, cl_uint num_mem_objects, const cl_mem *mem_objects,
    cl_mem_migration_flags flags, cl_uint num_events_in_wait_list, const cl_event *event_wait_list,
    cl_event *event)
{
    struct migrate args = {num_mem_objects, mem_objects, flags};
    return enqueue(command_queue, &migrate_type, &args, CL_FALSE, num_events_in_wait_list,
                   event_wait_list, event);
}
