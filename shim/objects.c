/* SPDX-License-Identifier: Apache-2.0 */
/* Each step, by kind: see objects.h. */
#include "shim/objects.h"

#include <stdio.h>

#include "shim/event.h"
#include "shim/hold.h"
#include "shim/phase.h"
#include "state/command_buffer.h"
#include "state/copier.h"
#include "state/kernel.h"
#include "state/mem.h"
#include "state/sampler.h"
#include "state/tally.h"

void object_describe(const struct object *object, char *text, size_t size)
{
    const char *kind = kind_name((enum kind)object->was);
    if (object->was == KIND_MEM) {
        const struct mem *mem = (const struct mem *)object;
        kind = mem->image                        ? "image"
               : mem->type == CL_MEM_OBJECT_PIPE ? "pipe"
               : mem->parent                     ? "sub-buffer"
                                                 : "buffer";
    }
    if (object->was == KIND_KERNEL)
        snprintf(text, size, "kernel `%s`", kernel_name((const struct kernel *)object));
    else
        snprintf(text, size, "%s %llu", kind, (unsigned long long)object->serial);
}

/* Which object it was, unless who failed has already named one. */
static int name_object(const struct object *object, int result, struct error *err)
{
    if (result != 0 && !err->object[0])
        object_describe(object, err->object, sizeof err->object);
    return result;
}

static int carriable(struct object *object, struct error *err)
{
    switch ((enum kind)object->was) {
    case KIND_CONTEXT:
        return context_carriable((struct context *)object, err);
    case KIND_QUEUE:
        return queue_carriable((struct queue *)object, err);
    case KIND_MEM:
        return mem_carriable((struct mem *)object, err);
    case KIND_PROGRAM:
        return program_carriable((struct program *)object, err);
    default:
        return 0;
    }
}

int objects_carriable(struct object *const *objects, size_t count, struct findings *findings,
                      struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (name_object(objects[i], carriable(objects[i], err), err) != 0 &&
            findings_take(findings, err) != 0)
            return -1;
    return 0;
}

static int capture_event(struct event *event, int64_t deadline, struct error *err)
{
    enum event_place before = event_place(event);
    if (event_capture(event, deadline, err) != 0)
        return -1;
    if (before == EVENT_ISSUED) {
        pthread_mutex_lock(&hold_lock);
        event_post_callbacks(event);
        pthread_mutex_unlock(&hold_lock);
        event_let_go(event);
    }
    return 0;
}

static int capture(struct object *object, int64_t deadline, struct error *err)
{
    switch ((enum kind)object->was) {
    case KIND_DEVICE:
        return device_capture((struct device *)object, err);
    case KIND_MEM:
        return mem_capture((struct mem *)object, err);
    case KIND_PROGRAM:
        return program_capture((struct program *)object, err);
    case KIND_KERNEL:
        kernel_capture((struct kernel *)object);
        return 0;
    case KIND_COMMAND_BUFFER:
        return command_buffer_capture((struct command_buffer *)object, deadline, err);
    case KIND_EVENT:
        return capture_event((struct event *)object, deadline, err);
    default:
        return 0;
    }
}

static struct library *library_of(const struct object *object)
{
    return object->driver ? object->driver->library : NULL;
}

/* What a call that makes it, fills it or unmaps it may copy. */
static uint64_t bytes_of(const struct object *object)
{
    return object->was == KIND_MEM ? ((const struct mem *)object)->size : 0;
}

int objects_capture(struct object *object, int64_t deadline, struct error *err)
{
    IN_DRIVER_COPYING(library_of(object), object, bytes_of(object));
    return name_object(object, capture(object, deadline, err), err);
}

void objects_release(struct object *object)
{
    IN_DRIVER_COPYING(library_of(object), object, bytes_of(object));
    switch ((enum kind)object->was) {
    case KIND_DEVICE:
        device_release((struct device *)object);
        break;
    case KIND_CONTEXT:
        context_release((struct context *)object);
        break;
    case KIND_QUEUE:
        queue_release((struct queue *)object);
        break;
    case KIND_MEM:
        mem_release((struct mem *)object);
        break;
    case KIND_SAMPLER:
        sampler_release((struct sampler *)object);
        break;
    case KIND_PROGRAM:
        program_release((struct program *)object);
        break;
    case KIND_KERNEL:
        kernel_release((struct kernel *)object);
        break;
    case KIND_COMMAND_BUFFER:
        command_buffer_release((struct command_buffer *)object);
        break;
    default:
        break;
    }
}

/* What a move may have changed: the driver under it is that of its parent. */
static void follow_driver(struct object *object)
{
    switch ((enum kind)object->was) {
    case KIND_CONTEXT:
        object->driver = ((struct context *)object)->devices[0]->object.driver;
        break;
    case KIND_QUEUE:
        object->driver = ((struct queue *)object)->context->object.driver;
        break;
    case KIND_MEM:
        object->driver = ((struct mem *)object)->context->object.driver;
        break;
    case KIND_SAMPLER:
        object->driver = ((struct sampler *)object)->context->object.driver;
        break;
    case KIND_PROGRAM:
        object->driver = ((struct program *)object)->context->object.driver;
        break;
    case KIND_KERNEL:
        object->driver = ((struct kernel *)object)->program->object.driver;
        break;
    case KIND_COMMAND_BUFFER:
        object->driver = ((struct command_buffer *)object)->queue->context->object.driver;
        break;
    case KIND_EVENT:
        object->driver = ((struct event *)object)->context->object.driver;
        break;
    default:
        break;
    }
}

/* A root device that nothing of the program's uses may be gone. */
static int rebuild_device(struct device *device, struct error *err)
{
    bool idle = !device->partition && atomic_load(&device->object.holds) <= 1;
    if (!idle || device_real(device))
        return device_rebuild(device, err);
    device_lose(device);
    return 0;
}

static int rebuild(struct object *object, struct error *err)
{
    switch ((enum kind)object->was) {
    case KIND_DEVICE:
        return rebuild_device((struct device *)object, err);
    case KIND_CONTEXT:
        return context_rebuild((struct context *)object, err);
    case KIND_QUEUE:
        return queue_rebuild((struct queue *)object, err);
    case KIND_MEM:
        return mem_rebuild((struct mem *)object, err);
    case KIND_SAMPLER:
        return sampler_rebuild((struct sampler *)object, err);
    case KIND_PROGRAM:
        return program_rebuild((struct program *)object, err);
    case KIND_KERNEL:
        return kernel_rebuild((struct kernel *)object, err);
    case KIND_COMMAND_BUFFER:
        return command_buffer_rebuild((struct command_buffer *)object, err);
    default:
        return 0;
    }
}

bool objects_need_program(const struct object *object)
{
    return object->was == KIND_PROGRAM || object->was == KIND_KERNEL ||
           object->was == KIND_COMMAND_BUFFER;
}

int objects_rebuild(struct object *object, struct error *err)
{
    follow_driver(object);
    IN_DRIVER_AT(((struct phase_place){library_of(object), object, objects_need_program(object),
                                       bytes_of(object), LINKING_NOT}));
    return name_object(object, rebuild(object, err), err);
}

int objects_upload(struct object *object, struct error *err)
{
    struct mem *mem = (struct mem *)object;
    if (object->was != KIND_MEM || !mem_has_contents(mem))
        return 0;
    IN_DRIVER_COPYING(library_of(object), object, mem->size);
    return name_object(object, mem_send_up(mem, err), err);
}

int objects_owe(struct object *object, struct error *err)
{
    struct mem *mem = (struct mem *)object;
    if (object->was != KIND_MEM || !mem_can_owe(mem))
        return objects_upload(object, err);
    mem_owe(mem);
    tally_done(mem->size);
    IN_DRIVER(library_of(object), object, false);
    return name_object(object, context_open_lifter(mem->context, err), err);
}

void objects_flush_copies(struct object *const *objects, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (objects[i]->was == KIND_CONTEXT)
            context_flush_copies((struct context *)objects[i]);
}

int objects_finish_copies(struct object *const *objects, size_t count, struct error *err)
{
    int result = 0;
    struct error more = {0};
    for (size_t i = 0; i < count; i++) {
        IN_DRIVER(library_of(objects[i]), objects[i], false);
        if (objects[i]->was == KIND_CONTEXT &&
            context_finish_copies((struct context *)objects[i], result ? &more : err) != 0)
            result = result ? -1 : name_object(objects[i], -1, err);
    }
    return result;
}

void objects_drop_copiers(struct object *const *objects, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct context *context = (struct context *)objects[i];
        if (objects[i]->was != KIND_CONTEXT || !context->copier)
            continue;
        IN_DRIVER(library_of(objects[i]), objects[i], false);
        context_drop_copier(context);
    }
}
