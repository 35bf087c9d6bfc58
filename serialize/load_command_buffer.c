/* SPDX-License-Identifier: Apache-2.0 */
/* Command buffers, with what was recorded in them. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "serialize/load_kinds.h"

_Static_assert((int)SHADOWCL__IMAGE__RECORDED__KIND__COPY == (int)RECORDED_COPY &&
                   (int)SHADOWCL__IMAGE__RECORDED__KIND__COPY_RECT == (int)RECORDED_COPY_RECT &&
                   (int)SHADOWCL__IMAGE__RECORDED__KIND__TO_IMAGE == (int)RECORDED_TO_IMAGE &&
                   (int)SHADOWCL__IMAGE__RECORDED__KIND__COPY_IMAGE == (int)RECORDED_COPY_IMAGE &&
                   (int)SHADOWCL__IMAGE__RECORDED__KIND__TO_BUFFER == (int)RECORDED_TO_BUFFER &&
                   (int)SHADOWCL__IMAGE__RECORDED__KIND__FILL == (int)RECORDED_FILL &&
                   (int)SHADOWCL__IMAGE__RECORDED__KIND__FILL_IMAGE == (int)RECORDED_FILL_IMAGE &&
                   (int)SHADOWCL__IMAGE__RECORDED__KIND__KERNEL == (int)RECORDED_KERNEL,
               "the numbers are the same");

/* What a kind of command has. */
enum needs { NO_MEM, BUFFER, IMAGE };
static const struct {
    enum needs source, target;
} needs[] = {
    [RECORDED_BARRIER] = {NO_MEM, NO_MEM},   [RECORDED_COPY] = {BUFFER, BUFFER},
    [RECORDED_COPY_RECT] = {BUFFER, BUFFER}, [RECORDED_TO_IMAGE] = {BUFFER, IMAGE},
    [RECORDED_COPY_IMAGE] = {IMAGE, IMAGE},  [RECORDED_TO_BUFFER] = {IMAGE, BUFFER},
    [RECORDED_FILL] = {NO_MEM, BUFFER},      [RECORDED_FILL_IMAGE] = {NO_MEM, IMAGE},
    [RECORDED_KERNEL] = {NO_MEM, NO_MEM},
};

/* With a hold, in *mem. */
static int take_mem(const struct load *load, const struct command_buffer *buffer, uint64_t serial,
                    enum needs need, const char *what, struct mem **mem, struct error *err)
{
    if (need == NO_MEM)
        return serial ? refuse(err, "it has a %s, which its kind does not", what) : 0;
    struct mem *found = load_object_of(load, serial, KIND_MEM, what, err);
    if (!found)
        return -1;
    if (need == IMAGE ? !found->image : found->image || found->type != CL_MEM_OBJECT_BUFFER)
        return refuse(err, "its %s %" PRIu64 " is no %s", what, serial,
                      need == IMAGE ? "image" : "buffer");
    if (found->context != buffer->queue->context)
        return refuse(err, "its %s %" PRIu64 " is of another context", what, serial);
    *mem = object_hold(found);
    return 0;
}

/* A command waits for earlier ones: sync points are places in the list, from 1. */
static int take_waits(const struct command_buffer *buffer, const Shadowcl__Image__Recorded *message,
                      struct recorded *command, struct error *err)
{
    command->waits = calloc(message->n_waits + 1, sizeof *command->waits);
    if (!command->waits)
        return load_no_memory(err);
    for (size_t i = 0; i < message->n_waits; i++) {
        if (!message->waits[i] || message->waits[i] > buffer->num_commands)
            return refuse(err, "it waits for sync point %u, which is none before it",
                          message->waits[i]);
        command->waits[i] = message->waits[i];
    }
    command->num_waits = (cl_uint)message->n_waits;
    return 0;
}

static int take_pattern(const Shadowcl__Image__Recorded *message, struct recorded *command,
                        struct error *err)
{
    size_t size = message->pattern.len;
    bool fill = command->kind == RECORDED_FILL, colour = command->kind == RECORDED_FILL_IMAGE;
    if (size > sizeof command->pattern || (fill && !size) || (colour && size < sizeof(float)))
        return refuse(err, "its pattern has %zu bytes", size);
    if (size)
        memcpy(command->pattern, message->pattern.data, size);
    command->pattern_size = fill ? size : 0;
    return 0;
}

/* Lists of fixed length; an empty one is all zeros. */
static int take_sizes(const uint64_t *from, size_t count, size_t *to, size_t wanted,
                      const char *what, struct error *err)
{
    if (count && count != wanted)
        return refuse(err, "it has %zu %s, not %zu", count, what, wanted);
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
    return 0;
}

static int take_kernel(const struct load *load, const struct command_buffer *buffer,
                       const Shadowcl__Image__Recorded *message, struct recorded *command,
                       struct error *err)
{
    struct kernel *kernel = load_object_of(load, message->kernel, KIND_KERNEL, "kernel", err);
    if (!kernel)
        return -1;
    command->kernel = object_hold(kernel);
    if (kernel->program->context != buffer->queue->context)
        return refuse(err, "its kernel %" PRIu64 " is of another context", message->kernel);
    if (message->dims < 1 || message->dims > 3)
        return refuse(err, "it has %u dimensions", message->dims);
    if (message->n_args != kernel->num_args)
        return refuse(err, "it has %zu arguments, and its kernel %u", message->n_args,
                      kernel->num_args);
    command->args =
        calloc(1, sizeof *command->args + kernel->num_args * sizeof *command->args->args);
    if (!command->args)
        return load_no_memory(err);
    command->args->count = kernel->num_args;
    int result = load_args(load, message->args, message->n_args, command->args->args, err);
    for (cl_uint i = 0; i < kernel->num_args; i++)
        if (command->args->args[i].kind == ARG_OBJECT)
            object_hold(command->args->args[i].object);
    /* It holds what it uses, and was checked when it was recorded. */
    for (cl_uint i = 0; i < kernel->num_args && result == 0; i++)
        if (command->args->args[i].kind == ARG_UNSET)
            result = refuse(err, "its argument %u is not set", i);
    return result;
}

static int fill(const struct load *load, const struct command_buffer *buffer,
                const Shadowcl__Image__Recorded *message, struct recorded *command,
                struct error *err)
{
    command->kind = (enum recorded_kind)message->kind;
    command->offset = message->offset;
    command->other_offset = message->other_offset;
    command->size = message->size;
    command->dims = message->dims;
    command->has_offset = message->has_offset;
    command->has_global = message->has_global;
    command->has_local = message->has_local;
    if (take_mem(load, buffer, message->source, needs[command->kind].source, "source",
                 &command->source, err) != 0 ||
        take_mem(load, buffer, message->target, needs[command->kind].target, "target",
                 &command->target, err) != 0 ||
        take_waits(buffer, message, command, err) != 0 ||
        take_pattern(message, command, err) != 0 ||
        take_sizes(message->pitches, message->n_pitches, command->pitches, 4, "pitches", err) !=
            0 ||
        take_sizes(message->sizes, message->n_sizes, (size_t *)command->sizes, 9, "sizes", err) !=
            0)
        return -1;
    if (command->kind == RECORDED_KERNEL)
        return take_kernel(load, buffer, message, command, err);
    return message->kernel || message->n_args ? refuse(err, "it has a kernel, and is no launch")
                                              : 0;
}

static int load_recorded(const struct load *load, struct command_buffer *buffer,
                         const Shadowcl__Image__Recorded *message, struct error *err)
{
    if ((unsigned)message->kind > RECORDED_KERNEL)
        return refuse(err, "its kind %d is none that we know", (int)message->kind);
    struct recorded *command = calloc(1, sizeof *command);
    if (!command || command_buffer_reserve(buffer) != CL_SUCCESS) {
        free(command);
        return load_no_memory(err);
    }
    if (fill(load, buffer, message, command, err) != 0) {
        recorded_destroy(command);
        return -1;
    }
    command_buffer_add(buffer, command);
    return 0;
}

static int load_commands(const struct load *load, const Shadowcl__Image__CommandBuffer *message,
                         struct command_buffer *buffer, struct error *err)
{
    for (size_t i = 0; i < message->n_commands; i++) {
        struct error why = {0};
        if (load_recorded(load, buffer, message->commands[i], &why) != 0)
            return refuse(err, "command %zu: %.300s", i + 1, why.reason);
    }
    return 0;
}

int load_command_buffer(struct load *load, const Shadowcl__Image__CommandBuffer *message, void **it,
                        struct error *err)
{
    uint64_t *words;
    struct queue *queue = load_object_of(load, message->queue, KIND_QUEUE, "queue", err);
    if (!queue || load_properties(message->properties, &words, err) != 0)
        return -1;
    struct command_buffer *buffer = command_buffer_load(queue, words);
    free(words);
    if (!buffer)
        return load_no_memory(err);
    if (load_commands(load, message, buffer, err) != 0) {
        load_undo(buffer);
        return -1;
    }
    atomic_store(&buffer->finalized, message->finalized);
    *it = buffer;
    return 0;
}
