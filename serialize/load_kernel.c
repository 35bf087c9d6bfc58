/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels and their arguments. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "serialize/load_kinds.h"

#define MOST_ARGS UINT16_MAX /* as many as kernel_info_key has room for */

_Static_assert((int)SHADOWCL__IMAGE__KERNEL_ARG__KIND__BYTES == (int)ARG_BYTES &&
                   (int)SHADOWCL__IMAGE__KERNEL_ARG__KIND__SIZE == (int)ARG_SIZE &&
                   (int)SHADOWCL__IMAGE__KERNEL_ARG__KIND__OBJECT == (int)ARG_OBJECT &&
                   (int)SHADOWCL__IMAGE__KERNEL_ARG__KIND__SVM == (int)ARG_SVM,
               "the numbers are the same");

/* What an argument may name: *object stays NULL for one that is gone. Of which context is for the
 * driver to say, as it was when the program set it. */
static int find_named(const struct load *load, uint64_t serial, struct object **object,
                      struct error *err)
{
    if (!serial)
        return 0;
    const struct load_entry *entry = load_find(load, serial);
    if (!entry)
        return refuse(err, "it names object %" PRIu64 ", which did not come before it", serial);
    if (entry->kind != KIND_MEM && entry->kind != KIND_SAMPLER && entry->kind != KIND_QUEUE)
        return refuse(err, "it names object %" PRIu64 ", which can't be an argument", serial);
    *object = entry->it;
    return 0;
}

static int load_arg(const struct load *load, const Shadowcl__Image__KernelArg *message,
                    struct kernel_arg *arg, struct error *err)
{
    enum arg_kind kind = (enum arg_kind)message->kind;
    const ProtobufCBinaryData *value = &message->value;
    struct object *object = NULL;
    if ((unsigned)message->kind > ARG_SVM)
        return refuse(err, "its kind %d is none that we know", (int)message->kind);
    if (kind == ARG_BYTES && (value->len != message->size || !value->len))
        return refuse(err, "it has %zu bytes, and its size is %" PRIu64, value->len, message->size);
    if (kind == ARG_SVM && value->len != sizeof(void *))
        return refuse(err, "its pointer has %zu bytes", value->len);
    if (kind == ARG_SIZE && message->size > SIZE_MAX / 2)
        return refuse(err, "its size is too large");
    if (kind == ARG_OBJECT && find_named(load, message->object, &object, err) != 0)
        return -1;
    if (kind == ARG_OBJECT && !object)
        kind = ARG_UNSET;
    size_t size = kind == ARG_SIZE ? message->size : value->len;
    return kernel_arg_load(arg, kind, size, value->data, object) ? 0 : load_no_memory(err);
}

int load_args(const struct load *load, Shadowcl__Image__KernelArg *const *messages, size_t count,
              struct kernel_arg *args, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct error why = {0};
        if (load_arg(load, messages[i], &args[i], &why) != 0)
            return refuse(err, "argument %zu: %.300s", i, why.reason);
    }
    return 0;
}

static int fill(const struct load *load, const Shadowcl__Image__Kernel *message,
                struct kernel *kernel, struct error *err)
{
    for (size_t i = 0; i < message->n_execs; i++) {
        const Shadowcl__Image__KernelExec *exec = message->execs[i];
        if (!kernel_exec_load(kernel, exec->param, exec->value.len, exec->value.data))
            return load_no_memory(err);
    }
    atomic_store(&kernel->largest_group, message->largest_group);
    if (load_info(&kernel->info, message->info, message->n_info, err) != 0)
        return -1;
    return load_args(load, message->args, message->n_args, kernel->args, err);
}

int load_kernel(struct load *load, const Shadowcl__Image__Kernel *message, void **it,
                struct error *err)
{
    struct program *program = load_object_of(load, message->program, KIND_PROGRAM, "program", err);
    if (!program)
        return -1;
    if (!*message->name)
        return refuse(err, "it has no name");
    if (message->n_args > MOST_ARGS)
        return refuse(err, "it has %zu arguments", message->n_args);
    struct kernel *kernel = kernel_load(program, message->name, (cl_uint)message->n_args);
    if (!kernel)
        return load_no_memory(err);
    if (fill(load, message, kernel, err) != 0) {
        load_undo(kernel);
        return -1;
    }
    *it = kernel;
    return 0;
}
