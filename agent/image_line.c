/* SPDX-License-Identifier: Apache-2.0 */
/* One object of an image, in a line or a few, for people. What it refers to need not be there. */
#include "agent/image_line.h"

#include "agent/cl_names.h"
#include "agent/text.h"

#include <CL/cl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_TEXT = 256, SHORT_VALUE = 16 };

static const char *mem_word(uint32_t type)
{
    switch (type) {
    case CL_MEM_OBJECT_BUFFER:
        return "buffer";
    case CL_MEM_OBJECT_PIPE:
        return "pipe";
    default:
        return "image";
    }
}

const char *image_line_name(const image_object *object, char *out, size_t size)
{
    const char *word = loaded_kind(object);
    if (object->kind_case == SHADOWCL__IMAGE__OBJECT__KIND_MEM)
        word = object->mem->parent && object->mem->type == CL_MEM_OBJECT_BUFFER
                   ? "sub-buffer"
                   : mem_word(object->mem->type);
    else if (object->kind_case == SHADOWCL__IMAGE__OBJECT__KIND_DEVICE && object->device->parent)
        word = "sub-device";
    else if (object->kind_case == SHADOWCL__IMAGE__OBJECT__KIND_COMMAND_BUFFER)
        word = "command buffer";
    else if (object->kind_case == SHADOWCL__IMAGE__OBJECT__KIND_SVM)
        word = "shared virtual memory";
    snprintf(out, size, "%s %" PRIu64, word, object->serial);
    return out;
}

static void print_named(const char *text)
{
    char clean[MAX_TEXT];
    printf(" `%s`", text_clean(clean, sizeof clean, text));
}

static void print_bytes(const char *before, uint64_t bytes)
{
    char text[32];
    printf("%s%s", before, text_bytes(text, sizeof text, bytes));
}

static void print_flags(enum cl_names names, uint64_t flags)
{
    char text[CL_NAME_SIZE];
    if (flags)
        printf(", %s", cl_name(names, flags, text, sizeof text));
}

static void print_constant(enum cl_names names, uint64_t value)
{
    char text[CL_NAME_SIZE];
    printf(", %s", cl_name(names, value, text, sizeof text));
}

static void print_reference(const struct loaded *loaded, uint64_t serial)
{
    char name[64];
    const image_object *object = loaded_find(loaded, serial);
    if (object)
        fputs(image_line_name(object, name, sizeof name), stdout);
    else if (serial)
        printf("%" PRIu64 ", which is not there", serial);
    else
        fputs("nothing", stdout);
}

static void print_references(const struct loaded *loaded, const char *before,
                             const uint64_t *serials, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fputs(i ? ", " : before, stdout);
        print_reference(loaded, serials[i]);
    }
}

static void print_device(const Shadowcl__Image__Device *device)
{
    print_named(device->name);
    print_constant(CL_NAMES_DEVICE_TYPE, device->type);
    if (device->partition)
        printf(", part %" PRIu32 " of %" PRIu32, device->index, device->partition->num_parts);
    else
        printf(", index %" PRIu32, device->index);
}

static void print_context(const struct loaded *loaded, const Shadowcl__Image__Context *context)
{
    print_references(loaded, " on ", context->devices, context->n_devices);
    printf(", buffers in memory of the %s", context->shared ? "host" : "device");
}

static void print_queue(const struct loaded *loaded, const Shadowcl__Image__Queue *queue)
{
    print_references(loaded, " on ", &queue->device, 1);
    print_flags(CL_NAMES_QUEUE_FLAGS, queue->flags);
    if (queue->held)
        printf(", %" PRIu32 " commands that wait in the program's memory", queue->held);
}

static void print_extent(const Shadowcl__Image__Image *image)
{
    char order[CL_NAME_SIZE], type[CL_NAME_SIZE];
    printf(", %" PRIu64, image->width);
    if (image->height)
        printf(" x %" PRIu64, image->height);
    if (image->depth)
        printf(" x %" PRIu64, image->depth);
    if (image->array_size)
        printf(", %" PRIu64 " layers", image->array_size);
    printf(", %s %s", cl_name(CL_NAMES_CHANNEL_ORDER, image->channel_order, order, sizeof order),
           cl_name(CL_NAMES_CHANNEL_TYPE, image->channel_type, type, sizeof type));
}

static void print_mem(const Shadowcl__Image__Mem *mem)
{
    print_bytes(", ", mem->size);
    if (mem->parent && mem->type == CL_MEM_OBJECT_BUFFER)
        printf(" at %" PRIu64, mem->origin);
    if (mem->image) {
        print_constant(CL_NAMES_MEM_TYPE, mem->type);
        print_extent(mem->image);
    }
    print_flags(CL_NAMES_MEM_FLAGS, mem->flags);
    if (mem->n_mappings)
        printf(", mapped %zu time%s", mem->n_mappings, mem->n_mappings == 1 ? "" : "s");
}

/* "Of which 448.0 KiB are zero" is told by chunks: of a smaller object all or nothing. */
static void print_contents(const struct loaded *loaded, uint64_t serial)
{
    const struct image_contents *contents = image_reader_contents(loaded->reader, serial);
    if (!contents)
        return;
    uint64_t zeros = 0;
    for (size_t i = 0; i < contents->num_chunks; i++)
        zeros += contents->data[i] ? 0 : image_chunk_size(contents, i);
    if (zeros && zeros == contents->size)
        fputs(", all zero", stdout);
    else if (zeros)
        print_bytes(", of which zero: ", zeros);
    printf(", digest %08" PRIx64, contents->digest[1] >> 32);
}

static void print_sampler(const Shadowcl__Image__Sampler *sampler)
{
    printf(", %s coordinates", sampler->normalized ? "normalized" : "plain");
    print_constant(CL_NAMES_ADDRESSING, sampler->addressing);
    print_constant(CL_NAMES_FILTER, sampler->filter);
}

static void print_origin(const struct loaded *loaded, uint64_t serial)
{
    static const char *const words[] = {"source", "IL", "a binary", "built-in kernels", "a link"};
    const image_object *object = loaded_find(loaded, serial);
    if (!object || object->kind_case != SHADOWCL__IMAGE__OBJECT__KIND_ORIGIN)
        return;
    unsigned kind = (unsigned)object->origin->kind;
    printf(" from %s", kind < sizeof words / sizeof *words ? words[kind] : "what is not known");
    if (object->origin->text.len)
        print_bytes(" of ", object->origin->text.len);
}

static void print_program(const struct loaded *loaded, const Shadowcl__Image__Program *program)
{
    static const char *const steps[] = {"not built", "compiled", "built", "linked"};
    print_origin(loaded, program->origin);
    for (size_t i = 0; i < program->n_builds && i < program->n_devices; i++) {
        const image_object *recipe = loaded_find(loaded, program->builds[i]->recipe);
        if (!recipe || recipe->kind_case != SHADOWCL__IMAGE__OBJECT__KIND_RECIPE)
            continue;
        unsigned step = (unsigned)recipe->recipe->step;
        printf(", %s", step < sizeof steps / sizeof *steps ? steps[step] : "made");
        if (step)
            print_references(loaded, " for ", &program->devices[i], 1);
        if (recipe->recipe->options[0])
            print_named(recipe->recipe->options);
    }
}

static void print_value(const Shadowcl__Image__KernelArg *arg)
{
    print_bytes("", arg->size);
    for (size_t i = 0; i < arg->value.len && i < SHORT_VALUE; i++)
        printf(i ? "%02x" : ": %02x", arg->value.data[i]);
    if (arg->value.len > SHORT_VALUE)
        fputs("...", stdout);
}

static void print_argument(const struct loaded *loaded, const Shadowcl__Image__KernelArg *arg)
{
    switch (arg->kind) {
    case SHADOWCL__IMAGE__KERNEL_ARG__KIND__UNSET:
        fputs("not set", stdout);
        return;
    case SHADOWCL__IMAGE__KERNEL_ARG__KIND__SIZE:
        if (arg->size)
            print_bytes("", arg->size);
        fputs(arg->size ? " of local memory" : "NULL", stdout);
        return;
    case SHADOWCL__IMAGE__KERNEL_ARG__KIND__OBJECT:
        print_reference(loaded, arg->object);
        return;
    case SHADOWCL__IMAGE__KERNEL_ARG__KIND__SVM:
        fputs("pointer to shared virtual memory, ", stdout);
        print_value(arg);
        return;
    default:
        print_value(arg);
    }
}

static void print_arguments(const struct loaded *loaded, const Shadowcl__Image__Kernel *kernel,
                            int indent)
{
    for (size_t i = 0; i < kernel->n_args; i++) {
        printf("\n%*sargument %zu: ", indent + 2, "", i);
        print_argument(loaded, kernel->args[i]);
    }
}

static void print_event(const struct loaded *loaded, const Shadowcl__Image__Event *event)
{
    if (event->queue)
        print_references(loaded, " of ", &event->queue, 1);
    print_constant(CL_NAMES_COMMAND, event->type);
    if (event->place == SHADOWCL__IMAGE__EVENT__PLACE__ENDED)
        print_constant(CL_NAMES_STATUS, (uint64_t)(int64_t)event->status);
    else
        fputs(event->place == SHADOWCL__IMAGE__EVENT__PLACE__UNSET ? ", not set" : ", held back",
              stdout);
}

static void print_kind(const struct loaded *loaded, const image_object *object)
{
    switch (object->kind_case) {
    case SHADOWCL__IMAGE__OBJECT__KIND_PLATFORM:
        return print_named(object->platform->name);
    case SHADOWCL__IMAGE__OBJECT__KIND_DEVICE:
        return print_device(object->device);
    case SHADOWCL__IMAGE__OBJECT__KIND_CONTEXT:
        return print_context(loaded, object->context);
    case SHADOWCL__IMAGE__OBJECT__KIND_QUEUE:
        return print_queue(loaded, object->queue);
    case SHADOWCL__IMAGE__OBJECT__KIND_MEM:
        return print_mem(object->mem);
    case SHADOWCL__IMAGE__OBJECT__KIND_SAMPLER:
        return print_sampler(object->sampler);
    case SHADOWCL__IMAGE__OBJECT__KIND_PROGRAM:
        return print_program(loaded, object->program);
    case SHADOWCL__IMAGE__OBJECT__KIND_KERNEL:
        return print_named(object->kernel->name);
    case SHADOWCL__IMAGE__OBJECT__KIND_COMMAND_BUFFER:
        printf(", %zu command%s, %s", object->command_buffer->n_commands,
               object->command_buffer->n_commands == 1 ? "" : "s",
               object->command_buffer->finalized ? "finalized" : "being recorded");
        return;
    case SHADOWCL__IMAGE__OBJECT__KIND_EVENT:
        return print_event(loaded, object->event);
    case SHADOWCL__IMAGE__OBJECT__KIND_SVM:
        print_bytes(", ", object->svm->size);
        printf(" at 0x%" PRIx64, object->svm->pointer);
        return print_flags(CL_NAMES_MEM_FLAGS, object->svm->flags);
    default:
        return;
    }
}

void image_line_print(const struct loaded *loaded, const image_object *object, int indent)
{
    char text[MAX_TEXT];
    fputs(image_line_name(object, text, sizeof text), stdout);
    print_kind(loaded, object);
    print_contents(loaded, object->serial);
    if (object->references > 1)
        printf(", %" PRIu32 " references", object->references);
    if (object->refusal[0])
        printf(", can't be carried: %s", text_clean(text, sizeof text, object->refusal));
    if (object->kind_case == SHADOWCL__IMAGE__OBJECT__KIND_KERNEL)
        print_arguments(loaded, object->kernel, indent);
    putchar('\n');
}
