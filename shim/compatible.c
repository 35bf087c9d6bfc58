/* SPDX-License-Identifier: Apache-2.0 */
/* The comparison of what is used with what another device has: see compatible.h. */
#include "shim/compatible.h"

#include <stdlib.h>
#include <string.h>

#include "shim/compatible_image.h"
#include "shim/objects.h"
#include "shim/phase.h"
#include "state/command_buffer.h"
#include "state/kernel.h"
#include "state/mem.h"
#include "state/svm.h"

/* The other device, and what it can do. */
struct other {
    struct device *from, *to;
    const struct driver *driver;
    cl_device_id real;
    bool running;                     /* the program is on its device, rather than captured there */
    cl_ulong global_size, alloc_size; /* bytes */
    size_t work_group;                /* work-items */
    struct image_target image;
    cl_bool images;
    cl_uint align; /* bits, of where a sub-buffer begins */
    cl_command_queue_properties queues;
    cl_ulong used; /* bytes of memory objects so far */
    bool full;     /* they are too many, and it was said */
    bool unsure;   /* not all that was asked was answered: it may be coming up, and can more */
};

static bool ask(struct other *other, cl_device_info param, size_t size, void *value)
{
    cl_int status = CALL(other->driver->clGetDeviceInfo(other->real, param, size, value, NULL));
    other->unsure |= status != CL_SUCCESS;
    return status == CL_SUCCESS;
}

static void look_at(struct other *other)
{
    ask(other, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof other->global_size, &other->global_size);
    ask(other, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof other->alloc_size, &other->alloc_size);
    ask(other, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof other->work_group, &other->work_group);
    ask(other, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof other->align, &other->align);
    ask(other, CL_DEVICE_IMAGE_SUPPORT, sizeof other->images, &other->images);
    other->image = (struct image_target){.driver = other->driver, .device = other->real};
    ask(other, CL_DEVICE_QUEUE_PROPERTIES, sizeof other->queues, &other->queues);
    other->unsure |= !other->global_size || !other->alloc_size || !other->work_group;
}

static int missing(const struct other *other, const struct object *object, struct error *err)
{
    object_describe(object, err->object, sizeof err->object);
    error_todo(err, "choose another device than `%s`, or resume on the one it had",
               other->to->name);
    return other->unsure ? -1 : error_final(err);
}

static int check_image(struct other *other, const struct mem *mem, struct error *err)
{
    if (!other->images)
        error_set(err, 0, "the device has no images");
    else if (image_target_check(&other->image, mem, err) == 0)
        return 0;
    other->unsure |= other->image.unsure;
    return missing(other, &mem->object, err);
}

/* §5.2.1, clCreateSubBuffer: with several devices one that is content will do. */
static int check_origin(const struct other *other, const struct mem *mem, struct error *err)
{
    size_t align = other->align / 8;
    if (!mem->parent || mem->context->num_devices > 1 || !align || mem->origin % align == 0)
        return 0;
    error_set(err, 0,
              "it begins at byte %zu of its buffer, and there only multiples of %zu will do",
              mem->origin, align);
    return missing(other, &mem->object, err);
}

static int check_mem(struct other *other, const struct mem *mem, struct error *err)
{
    if (!context_has_device(mem->context, other->from))
        return 0;
    other->used += mem->parent ? 0 : mem->size;
    if (mem->size > other->alloc_size) {
        error_set(err, 0, "its %zu bytes are more than the %llu that one object may have there",
                  mem->size, (unsigned long long)other->alloc_size);
        return missing(other, &mem->object, err);
    }
    if (other->used > other->global_size && !other->full) {
        other->full = true;
        error_set(err, 0, "with it the program's objects need %llu bytes, and there are %llu",
                  (unsigned long long)other->used, (unsigned long long)other->global_size);
        return missing(other, &mem->object, err);
    }
    return mem->image ? check_image(other, mem, err) : check_origin(other, mem, err);
}

static int check_queue(const struct other *other, const struct queue *queue, struct error *err)
{
    cl_command_queue_properties absent = queue->flags & ~other->queues;
    if (queue->device != other->from || !absent)
        return 0;
    error_set(err, 0, "it is %s, which the device does not have",
              absent & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE ? "out of order"
              : absent & CL_QUEUE_PROFILING_ENABLE            ? "profiled"
                                                              : "of a sort");
    return missing(other, &queue->object, err);
}

static int check_kernel(const struct other *other, struct kernel *kernel, struct error *err)
{
    size_t largest = atomic_load(&kernel->largest_group);
    if (!context_has_device(kernel->program->context, other->from) || largest <= other->work_group)
        return 0;
    error_set(err, 0, "it runs in work-groups of %zu, and the device has at most %zu", largest,
              other->work_group);
    return missing(other, &kernel->object, err);
}

static int check_device(const struct other *other, const struct device *device, struct error *err)
{
    if (!device->partition || device->parent != other->from)
        return 0;
    return partition_check(device, other->driver, other->real, err);
}

static int check_program(struct other *other, struct program *program, struct error *err)
{
    if (program_device_index(program, other->from) < 0)
        return 0;
    char *identity = device_identify(other->driver, other->real);
    const char *now =
        other->running ? device_lives_on(other->from) : device_captured_on(other->from);
    bool same = identity && strcmp(identity, now) == 0;
    other->unsure |= !identity;
    free(identity);
    return same || program_movable(program, err) == 0 ? 0 : missing(other, &program->object, err);
}

static int check_command_buffer(struct other *other, const struct command_buffer *buffer,
                                struct error *err)
{
    cl_device_command_buffer_capabilities_khr can = 0;
    cl_command_queue_properties needs = 0;
    if (buffer->queue->device != other->from)
        return 0;
    if (!command_buffer_usable(other->driver) ||
        !ask(other, CL_DEVICE_COMMAND_BUFFER_CAPABILITIES_KHR, sizeof can, &can))
        error_set(err, 0, "the device has no cl_khr_command_buffer");
    else if (command_buffer_simultaneous(buffer) &&
             !(can & CL_COMMAND_BUFFER_CAPABILITY_SIMULTANEOUS_USE_KHR))
        error_set(err, 0, "it may be in use twice at a time, which the device does not have");
    else {
        ask(other, CL_DEVICE_COMMAND_BUFFER_REQUIRED_QUEUE_PROPERTIES_KHR, sizeof needs, &needs);
        if (!(needs & ~buffer->queue->flags))
            return 0;
        error_set(err, 0, "the device has command buffers for other sorts of queues only");
    }
    return missing(other, &buffer->object, err);
}

static int check_object(struct other *other, struct object *object, struct error *err)
{
    switch ((enum kind)object->was) {
    case KIND_DEVICE:
        return check_device(other, (struct device *)object, err);
    case KIND_QUEUE:
        return check_queue(other, (struct queue *)object, err);
    case KIND_MEM:
        return check_mem(other, (struct mem *)object, err);
    case KIND_PROGRAM:
        return check_program(other, (struct program *)object, err);
    case KIND_KERNEL:
        return check_kernel(other, (struct kernel *)object, err);
    case KIND_COMMAND_BUFFER:
        return check_command_buffer(other, (struct command_buffer *)object, err);
    default:
        return 0;
    }
}

/* Where what the program was only told goes. */
struct difference {
    const struct device *to;
    bool strict;
    struct report *report;
    struct findings *findings; /* with `strict`; may be NULL */
};

static void note_difference(const char *what, void *data)
{
    const struct difference *to = data;
    struct error err = {0};
    if (!to->strict || !to->findings) {
        report_warn(to->report, "%s", what);
        return;
    }
    error_object(&err, "device `%s`", to->to->name);
    error_set(&err, 0, "it differs from what the program was told: %s", what);
    error_todo(&err, "leave out --strict when the program does not use this");
    findings_take(to->findings, &err);
}

/* With `strict` a difference is an error; with findings it is there already. */
static int compare_told(const struct other *other, bool strict, struct report *report,
                        struct findings *findings, struct error *err)
{
    struct difference to = {other->to, strict, report, findings};
    int differences = device_compare(other->from, other->driver, other->real, note_difference, &to);
    if (!differences || !strict || findings)
        return 0;
    error_object(err, "device `%s`", other->to->name);
    error_set(err, 0, "it differs in %d point%s from what the program was told: %s", differences,
              differences == 1 ? "" : "s",
              report->num_warnings ? report->warnings[report->num_warnings - 1] : "");
    return error_todo(err, "leave out --strict when the program does not use these");
}

static int check_svm(const struct other *other, struct findings *findings, struct error *err)
{
    size_t next = 0;
    while (svm_compatible(other->from, other->driver, other->real, &next, err) != 0)
        if (findings_take(findings, err) != 0)
            return -1;
    return 0;
}

int compatible(struct device *from, struct device *to, cl_device_id real, bool running, bool strict,
               struct object *const *objects, size_t count, struct report *report,
               struct findings *findings, struct error *err)
{
    struct other other = {.from = from,
                          .to = to,
                          .driver = to->platform->object.driver,
                          .real = real,
                          .running = running};
    look_at(&other);
    int result = compare_told(&other, strict, report, findings, err);
    if (result == 0)
        result = check_svm(&other, findings, err);
    for (size_t i = 0; i < count && result == 0; i++)
        if (check_object(&other, objects[i], err) != 0)
            result = findings_take(findings, err);
    image_target_finish(&other.image);
    return result;
}
