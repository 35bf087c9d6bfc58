/* SPDX-License-Identifier: Apache-2.0 */
/* All objects of a process, one record after the other. See save.h. */
#include "serialize/save.h"

#include <stdlib.h>

/* A message of any kind, and the object that holds it. */
struct packed {
    Shadowcl__Image__Object object;
    union {
        Shadowcl__Image__Platform platform;
        Shadowcl__Image__Device device;
        Shadowcl__Image__Context context;
        Shadowcl__Image__Queue queue;
        Shadowcl__Image__Mem mem;
        Shadowcl__Image__Sampler sampler;
        Shadowcl__Image__Program program;
        Shadowcl__Image__Kernel kernel;
        Shadowcl__Image__CommandBuffer command_buffer;
        Shadowcl__Image__Event event;
    } kind;
};

/* X(KIND, name, NAME): those that need nothing but scratch memory. */
#define PLAIN_KINDS(X)                                                                             \
    X(PLATFORM, platform, PLATFORM)                                                                \
    X(DEVICE, device, DEVICE)                                                                      \
    X(CONTEXT, context, CONTEXT)                                                                   \
    X(QUEUE, queue, QUEUE)                                                                         \
    X(MEM, mem, MEM)                                                                               \
    X(SAMPLER, sampler, SAMPLER)                                                                   \
    X(KERNEL, kernel, KERNEL)                                                                      \
    X(COMMAND_BUFFER, command_buffer, COMMAND_BUFFER)                                              \
    X(EVENT, event, EVENT)

static void pack(struct save *save, struct object *object, struct packed *packed)
{
    switch ((enum kind)object->was) {
#define X(is, name, NAME)                                                                          \
    case KIND_##is:                                                                                \
        shadowcl__image__##name##__init(&packed->kind.name);                                       \
        save_##name(&save->scratch, (struct name *)object, &packed->kind.name);                    \
        packed->object.name = &packed->kind.name;                                                  \
        packed->object.kind_case = SHADOWCL__IMAGE__OBJECT__KIND_##NAME;                           \
        break;
        PLAIN_KINDS(X)
#undef X
    case KIND_PROGRAM:
        shadowcl__image__program__init(&packed->kind.program);
        save_program(save, (struct program *)object, &packed->kind.program);
        packed->object.program = &packed->kind.program;
        packed->object.kind_case = SHADOWCL__IMAGE__OBJECT__KIND_PROGRAM;
        break;
    default:
        break;
    }
}

static int write_message(struct save *save, Shadowcl__Image__Object *message, struct error *err)
{
    int result = save->scratch.failed
                     ? error_set(err, 0, "no memory to put it together")
                     : image_writer_object(save->writer, message->serial, &message->base, err);
    scratch_empty(&save->scratch);
    return result;
}

static int save_object(struct save *save, struct object *object, struct error *err)
{
    struct packed packed;
    if (object->was == KIND_PROGRAM && save_recipes(save, (struct program *)object, err) != 0)
        return -1;
    shadowcl__image__object__init(&packed.object);
    packed.object.serial = object->serial;
    packed.object.references = atomic_load(&object->refs);
    packed.object.refusal = save_text(object->refusal);
    pack(save, object, &packed);
    return write_message(save, &packed.object, err);
}

static int save_allocations(struct save *save, struct stream_sink *sink, struct error *err)
{
    size_t count;
    int result = 0;
    struct svm *list = svm_list(&count);
    if (!list)
        return error_set(err, 0, "no memory for the list of SVM allocations");
    for (size_t i = 0; i < count && result == 0; i++) {
        Shadowcl__Image__Object object = SHADOWCL__IMAGE__OBJECT__INIT;
        Shadowcl__Image__Svm svm = SHADOWCL__IMAGE__SVM__INIT;
        save_svm(&list[i], &svm);
        object.serial = save->next_serial++;
        object.kind_case = SHADOWCL__IMAGE__OBJECT__KIND_SVM;
        object.svm = &svm;
        result = write_message(save, &object, err);
        if (result == 0 && list[i].own && list[i].size)
            result = stream_memory(object.serial, list[i].pointer, list[i].size, sink, err);
    }
    free(list);
    return result;
}

int save_objects(struct save *save, struct object *const *objects, size_t count,
                 struct stream_sink *sink, struct error *err)
{
    /* Also those that have been released since: their contents are in the file, or other objects
     * name them; they stay as they are until the gate opens. */
    for (size_t i = 0; i < count; i++)
        if (save_object(save, objects[i], err) != 0)
            return -1;
    return save_allocations(save, sink, err);
}
