/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of ours for what lay in the program's: shared virtual memory at the addresses that it had,
 * and buffers of contexts that work on the host's memory, anywhere. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "serialize/load_kinds.h"
#include "state/block.h"

int load_svm(struct load *load, const Shadowcl__Image__Svm *message, void **it, struct error *err)
{
    struct context *context = load_object_of(load, message->context, KIND_CONTEXT, "context", err);
    if (!context)
        return -1;
    if (!message->pointer || !message->size || message->size > UINTPTR_MAX - message->pointer)
        return refuse(err, "its %" PRIu64 " bytes at 0x%" PRIx64 " are no memory", message->size,
                      message->pointer);
    struct svm *svm = malloc(sizeof *svm);
    if (!svm)
        return load_no_memory(err);
    *svm = (struct svm){.context = context,
                        .pointer = (void *)(uintptr_t)message->pointer,
                        .size = message->size,
                        .flags = message->flags,
                        .alignment = message->alignment};
    svm->own = true;
    if (!svm_adopt(svm)) {
        free(svm);
        return refuse(err, "another allocation lies where it does, or there is no memory for it");
    }
    *it = svm;
    return 0;
}

/* Is all of it in ranges of ours? Else *begin and *end are the first part that isn't. */
static bool is_mapped(const struct load *load, uintptr_t *begin, uintptr_t *end)
{
    for (size_t i = 0; i < load->num_ranges && *begin < *end; i++) {
        const struct load_range *range = &load->ranges[i];
        if (range->begin > *begin && range->begin < *end)
            *end = range->begin;
        if (range->begin <= *begin && *begin < range->end)
            *begin = range->end;
    }
    return *begin >= *end;
}

static void add_range(struct load *load, uintptr_t begin, uintptr_t end)
{
    size_t at = load->num_ranges++;
    for (; at > 0 && load->ranges[at - 1].begin > begin; at--)
        load->ranges[at] = load->ranges[at - 1];
    load->ranges[at] = (struct load_range){begin, end};
}

/* One more range, unless something else of this process is there. */
static bool map(struct load *load, uintptr_t begin, uintptr_t end)
{
    struct load_range *ranges =
        realloc(load->ranges, (load->num_ranges + 1) * sizeof *load->ranges);
    if (!ranges)
        return false;
    load->ranges = ranges;
    void *got = mmap((void *)begin, end - begin, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (got == MAP_FAILED)
        return false;
    /* Kernels before 4.17 take the address for a wish. */
    if (got != (void *)begin) {
        munmap(got, end - begin);
        return false;
    }
    add_range(load, begin, end);
    return true;
}

/* Allocations share pages: each is mapped once. */
static bool map_all(struct load *load, const struct svm *svm)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)svm->pointer / page * page;
    uintptr_t last = ((uintptr_t)svm->pointer + svm->size - 1) / page * page;
    if (last > UINTPTR_MAX - page)
        return false;
    for (uintptr_t end = last + page; !is_mapped(load, &begin, &end); end = last + page)
        if (!map(load, begin, end))
            return false;
    return true;
}

static bool is_had(const struct load *load, const void *pointer, size_t size)
{
    uintptr_t begin = (uintptr_t)pointer, end = begin + size;
    return is_mapped(load, &begin, &end);
}

/* A kernel's pointer to memory that is not there. NULL is a pointer like any other. */
static bool is_lost(const struct load *load, const void *pointer)
{
    return pointer && !(svm_contains(pointer) && is_had(load, pointer, 1));
}

static int note_kernel(const struct kernel *kernel, const char *what, struct findings *notes,
                       struct error *err)
{
    struct error note = {0};
    error_object(&note, "kernel `%.100s` (%" PRIu64 ")", kernel_name(kernel),
                 kernel->object.serial);
    refuse(&note, "%s points to memory that can't be had at its address here: left out", what);
    error_todo(&note, "it is no fault of the image");
    return findings_take(notes, &note) == 0 ? 0 : load_no_memory(err);
}

static int unset_args(const struct load *load, const struct kernel *kernel, struct kernel_arg *args,
                      struct findings *notes, struct error *err)
{
    bool any = false;
    for (cl_uint i = 0; i < kernel->num_args; i++)
        if (args[i].kind == ARG_SVM && is_lost(load, kernel_arg_pointer(&args[i]))) {
            kernel_arg_unset(&args[i]);
            any = true;
        }
    return any ? note_kernel(kernel, "an argument", notes, err) : 0;
}

/* CL_KERNEL_EXEC_INFO_SVM_PTRS: a list of pointers, of which none may be lost. */
static int drop_pointers(const struct load *load, struct kernel *kernel, struct findings *notes,
                         struct error *err)
{
    struct kernel_exec *exec = kernel->execs;
    while (exec && exec->param != CL_KERNEL_EXEC_INFO_SVM_PTRS)
        exec = exec->next;
    bool lost = false;
    for (size_t at = 0; exec && at + sizeof(void *) <= exec->size; at += sizeof(void *)) {
        const void *pointer;
        memcpy(&pointer, exec->value + at, sizeof pointer);
        lost = lost || is_lost(load, pointer);
    }
    if (!lost)
        return 0;
    kernel_exec_drop(kernel, exec);
    return note_kernel(kernel, "what clSetKernelExecInfo named", notes, err);
}

static int settle_svm(struct load *load, const struct svm *svm, struct findings *notes,
                      struct error *err)
{
    if (map_all(load, svm))
        return 0;
    struct error note = {0};
    error_object(&note, "SVM allocation %p of %zu bytes", svm->pointer, svm->size);
    refuse(&note, "its address is not free in this process: not looked at");
    error_todo(&note, "it is no fault of the image");
    return findings_take(notes, &note) == 0 ? 0 : load_no_memory(err);
}

/* As the shim places a buffer's bytes (shim/mem.c). */
static int settle_mem(struct mem *mem, struct error *err)
{
    if (!mem->context->shared || mem->image || mem->host || mem->type != CL_MEM_OBJECT_BUFFER)
        return 0;
    mem->host = mem->parent ? mem->parent->host + mem->origin : block_alloc(mem->size);
    if (mem->host)
        return 0;
    error_object(err, "buffer %" PRIu64, mem->object.serial);
    return refuse(err, "there is no memory for its %zu bytes", mem->size);
}

static bool any_lost(const struct load *load, const struct kernel_args *args)
{
    for (cl_uint i = 0; i < args->count; i++)
        if (args->args[i].kind == ARG_SVM && is_lost(load, kernel_arg_pointer(&args->args[i])))
            return true;
    return false;
}

/* A launch without all of its arguments can't be recorded: then nothing is. */
static int settle_commands(const struct load *load, struct command_buffer *buffer,
                           struct findings *notes, struct error *err)
{
    cl_uint i = 0;
    while (i < buffer->num_commands &&
           !(buffer->commands[i]->args && any_lost(load, buffer->commands[i]->args)))
        i++;
    if (i == buffer->num_commands)
        return 0;
    while (buffer->num_commands)
        recorded_destroy(buffer->commands[--buffer->num_commands]);
    struct error note = {0};
    error_object(&note, "command buffer %" PRIu64, buffer->object.serial);
    refuse(&note,
           "its command %u points to memory that can't be had at its address here: it is "
           "made without commands",
           i + 1);
    error_todo(&note, "it is no fault of the image");
    return findings_take(notes, &note) == 0 ? 0 : load_no_memory(err);
}

int load_make_memory(struct load *load, struct findings *notes, struct error *err)
{
    int result = 0;
    for (size_t i = 0; i < load->count && result == 0; i++)
        if (load->entries[i].kind == LOAD_SVM)
            result = settle_svm(load, load->entries[i].it, notes, err);
    for (size_t i = 0; i < load->count && result == 0; i++) {
        void *it = load->entries[i].it;
        switch (load->entries[i].kind) {
        case KIND_MEM:
            result = settle_mem(it, err);
            break;
        case KIND_KERNEL:
            result = unset_args(load, it, ((struct kernel *)it)->args, notes, err);
            if (result == 0)
                result = drop_pointers(load, it, notes, err);
            break;
        case KIND_COMMAND_BUFFER:
            result = settle_commands(load, it, notes, err);
            break;
        default:
            break;
        }
    }
    return result;
}

bool load_find_owner(const struct load *load, uint64_t serial, struct load_owner *owner)
{
    const struct load_entry *entry = load_find(load, serial);
    *owner = (struct load_owner){0};
    if (entry && entry->kind == KIND_MEM) {
        struct mem *mem = entry->it;
        *owner = (struct load_owner){.mem = mem, .context = mem->context, .size = mem->size};
        return !mem->parent && mem->type != CL_MEM_OBJECT_PIPE;
    }
    if (!entry || entry->kind != LOAD_SVM)
        return false;
    const struct svm *svm = entry->it;
    *owner = (struct load_owner){.context = svm->context, .size = svm->size};
    if (is_had(load, svm->pointer, svm->size))
        owner->svm = svm->pointer;
    return true;
}
