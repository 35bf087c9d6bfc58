/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel arguments: told apart, given to the driver, recorded, and set again. */
#include <stdlib.h>
#include <string.h>

#include "state/kernel.h"
#include "state/svm.h"

/* Types of eight bytes that are never handles, whatever their value looks like. A typedef's name
 * tells nothing. */
static bool is_scalar_type(const char *name)
{
    static const char *const types[] = {"long",   "ulong",  "double",    "int2",     "uint2",
                                        "float2", "short4", "ushort4",   "half4",    "char8",
                                        "uchar8", "size_t", "ptrdiff_t", "intptr_t", "uintptr_t"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(name, types[i]) == 0)
            return true;
    return strncmp(name, "struct ", 7) == 0 || strncmp(name, "unsigned ", 9) == 0;
}

static enum arg_class class_of_value(const char *type)
{
    if (strcmp(type, "sampler_t") == 0)
        return CLASS_SAMPLER;
    if (strcmp(type, "queue_t") == 0)
        return CLASS_QUEUE;
    return is_scalar_type(type) ? CLASS_SCALAR : CLASS_UNKNOWN;
}

static enum arg_class class_of(struct kernel *kernel, cl_uint index)
{
    const struct info_entry *address =
        info_cache_find(&kernel->info, kernel_info_key(CL_KERNEL_ARG_ADDRESS_QUALIFIER, index));
    const struct info_entry *type =
        info_cache_find(&kernel->info, kernel_info_key(CL_KERNEL_ARG_TYPE_NAME, index));
    cl_kernel_arg_address_qualifier qualifier;
    if (!address || address->size != sizeof qualifier)
        return CLASS_UNKNOWN;
    memcpy(&qualifier, address->bytes, sizeof qualifier);
    if (qualifier == CL_KERNEL_ARG_ADDRESS_GLOBAL || qualifier == CL_KERNEL_ARG_ADDRESS_CONSTANT)
        return CLASS_MEM;
    /* Some drivers call an image private. */
    if (qualifier != CL_KERNEL_ARG_ADDRESS_PRIVATE || !type || !type->size)
        return CLASS_UNKNOWN;
    return class_of_value((const char *)type->bytes);
}

/* A pointer to const says nothing: kernels cast that away. */
static bool is_only_read(struct kernel *kernel, cl_uint index)
{
    const struct info_entry *address =
        info_cache_find(&kernel->info, kernel_info_key(CL_KERNEL_ARG_ADDRESS_QUALIFIER, index));
    const struct info_entry *access =
        info_cache_find(&kernel->info, kernel_info_key(CL_KERNEL_ARG_ACCESS_QUALIFIER, index));
    cl_kernel_arg_address_qualifier space = 0;
    cl_kernel_arg_access_qualifier how = 0;
    if (address && address->size == sizeof space)
        memcpy(&space, address->bytes, sizeof space);
    if (access && access->size == sizeof how)
        memcpy(&how, access->bytes, sizeof how);
    return space == CL_KERNEL_ARG_ADDRESS_CONSTANT || how == CL_KERNEL_ARG_ACCESS_READ_ONLY;
}

/* A pointer to pointers. (Of a struct that has some nobody tells.) */
static bool is_of_pointers(struct kernel *kernel, cl_uint index)
{
    const struct info_entry *type =
        info_cache_find(&kernel->info, kernel_info_key(CL_KERNEL_ARG_TYPE_NAME, index));
    const char *name = type && type->size ? (const char *)type->bytes : "";
    return strchr(name, '*') != strrchr(name, '*');
}

/* Asked once per kernel, when the first argument comes that could be a handle. */
static void classify(struct kernel *kernel)
{
    kernel_read_facts(kernel->object.driver, kernel_real(kernel), &kernel->info);
    for (cl_uint i = 0; i < kernel->num_args; i++)
        kernel->args[i].class = (uint8_t)class_of(kernel, i);
    for (cl_uint i = 0; i < kernel->num_args; i++) {
        kernel->args[i].is_read = is_only_read(kernel, i);
        kernel->args[i].leads_on = is_of_pointers(kernel, i);
    }
    kernel->classified = true;
}

static inline const unsigned char *bytes_of(const struct kernel_arg *arg)
{
    return arg->is_outside ? arg->outside : arg->inside;
}

/* Of what an argument has of its own, memory or a hold. */
static inline bool has_own(const struct kernel_arg *arg)
{
    return arg->is_outside || arg->is_held;
}

static void drop_own(struct kernel_arg *arg)
{
    if (arg->is_outside)
        free(arg->outside);
    if (arg->is_held)
        object_drop(arg->object);
    arg->is_outside = arg->is_held = false;
}

/* A place for that many bytes, or NULL; what was there is lost. */
static unsigned char *make_room(struct kernel_arg *arg, size_t size)
{
    if (arg->is_outside && arg->room >= size)
        return arg->outside;
    drop_own(arg);
    if (size <= ARG_INSIDE)
        return arg->inside;
    unsigned char *outside = malloc(size);
    if (!outside)
        return NULL;
    arg->outside = outside;
    arg->room = size;
    arg->is_outside = true;
    return outside;
}

static cl_int record_long(struct kernel_arg *arg, size_t size, const void *value)
{
    arg->kind = ARG_UNSET;
    unsigned char *to = make_room(arg, size);
    if (!to)
        return CL_OUT_OF_HOST_MEMORY;
    memcpy(to, value, size);
    arg->size = size;
    arg->kind = ARG_BYTES;
    return CL_SUCCESS;
}

/* Inline, and a word by itself: most arguments are one. */
static inline cl_int record_bytes(struct kernel_arg *arg, size_t size, const void *value)
{
    if (has_own(arg) || (size != sizeof(uint32_t) && size != sizeof(uint64_t)))
        return record_long(arg, size, value);
    if (size == sizeof(uint32_t))
        memcpy(arg->inside, value, sizeof(uint32_t));
    else
        memcpy(arg->inside, value, sizeof(uint64_t));
    arg->size = size;
    arg->kind = ARG_BYTES;
    return CL_SUCCESS;
}

/* §5.9.2: a kernel has no hold on what its arguments name. Whether the object is still there is
 * told by its generation. */
static inline void record_object(struct kernel_arg *arg, struct object *object, uint32_t generation)
{
    if (has_own(arg))
        drop_own(arg);
    arg->object = object;
    arg->generation = generation;
    arg->size = sizeof(cl_mem);
    arg->kind = ARG_OBJECT;
}

/* What a word that may be a handle is: *object is NULL for one that is none. */
static cl_int find_object(const struct kernel *kernel, enum arg_class class, const void *word,
                          struct object **object)
{
    *object = NULL;
    bool inside = object_in_band(word);
    uint32_t kind = KIND_FREE;
    if (inside && ((uintptr_t)word - object_band) % OBJECT_SLOT == 0)
        kind = atomic_load_explicit(&((struct object *)word)->kind, memory_order_acquire);
    bool usable = (kind == KIND_MEM || kind == KIND_SAMPLER || kind == KIND_QUEUE) &&
                  ((const struct object *)word)->driver == kernel->object.driver;
    switch (class) {
    case CLASS_SCALAR:
        return CL_SUCCESS;
    case CLASS_MEM:
        if (word && !(usable && kind == KIND_MEM))
            return CL_INVALID_MEM_OBJECT;
        break;
    case CLASS_SAMPLER:
        if (!usable || kind != KIND_SAMPLER)
            return CL_INVALID_SAMPLER;
        break;
    case CLASS_QUEUE:
        if (!usable || kind != KIND_QUEUE)
            return CL_INVALID_DEVICE_QUEUE;
        break;
    case CLASS_UNKNOWN:
        if (inside && !usable)
            return CL_INVALID_MEM_OBJECT;
        break;
    }
    *object = usable ? (struct object *)word : NULL;
    return CL_SUCCESS;
}

/* What was set before the driver told, but for that argument. */
static void settle(struct kernel *kernel, cl_uint index)
{
    for (cl_uint i = 0; i < kernel->num_args; i++) {
        struct kernel_arg *arg = &kernel->args[i];
        if (i == index || arg->kind != ARG_OBJECT)
            continue;
        if (kernel->keeps == KEEPS_NOTHING)
            drop_own(arg);
        else if (!arg->is_held)
            arg->is_held = object_hold_alive(arg->object, arg->generation);
    }
}

/* As the driver does: released by the program, it is there until the argument is another. A sampler
 * or a queue can't tell what the driver does: until a buffer or an image has, it is held. */
__attribute__((noinline)) static void keep_object(struct kernel *kernel, cl_uint index,
                                                  struct object *object)
{
    const struct mem *mem = object->was == KIND_MEM ? (const struct mem *)object : NULL;
    if (kernel->keeps == KEEPS_UNKNOWN) {
        kernel->keeps = atomic_load(&kernel->program->context->keeps);
        if (kernel->keeps == KEEPS_UNKNOWN && mem && mem->type != CL_MEM_OBJECT_PIPE)
            kernel->keeps = kernel_ask_keeps(kernel, index, mem);
        if (kernel->keeps != KEEPS_UNKNOWN)
            settle(kernel, index);
    }
    if (kernel->keeps == KEEPS_ALL || (kernel->keeps == KEEPS_UNKNOWN && !mem)) {
        object_hold(object);
        kernel->args[index].is_held = true;
    }
}

/* It may be the same object again, and held by this argument alone: the old one goes last. */
__attribute__((noinline)) static void replace_held(struct kernel *kernel, cl_uint index,
                                                   struct object *object)
{
    struct kernel_arg *arg = &kernel->args[index];
    struct object *before = arg->object;
    arg->is_held = false;
    record_object(arg, object, object->generation);
    keep_object(kernel, index, object);
    object_drop(before);
}

/* What follows is in pieces that are not inlined: each saves the registers that it needs. */
__attribute__((noinline)) static cl_int set_object(struct kernel *kernel, cl_uint index,
                                                   struct object *object)
{
    struct kernel_arg *arg = &kernel->args[index];
    cl_int err = kernel->object.driver->clSetKernelArg(kernel_real(kernel), index, sizeof(cl_mem),
                                                       &object->real);
    if (err != CL_SUCCESS)
        return err;
    if (__builtin_expect(arg->is_held, 0)) {
        replace_held(kernel, index, object);
    } else {
        record_object(arg, object, object->generation);
        if (__builtin_expect(kernel->keeps != KEEPS_NOTHING, 0))
            keep_object(kernel, index, object);
    }
    atomic_store_explicit(&kernel->noted, 0, memory_order_relaxed);
    return CL_SUCCESS;
}

/* Bytes, or local memory. */
__attribute__((noinline)) static cl_int set_bytes(struct kernel *kernel, cl_uint index, size_t size,
                                                  const void *value)
{
    struct kernel_arg *arg = &kernel->args[index];
    cl_int err = kernel->object.driver->clSetKernelArg(kernel_real(kernel), index, size, value);
    if (err != CL_SUCCESS)
        return err;
    if (value)
        return record_bytes(arg, size, value);
    if (arg->is_held)
        drop_own(arg);
    arg->size = size;
    arg->kind = ARG_SIZE;
    return CL_SUCCESS;
}

/* An argument of a handle's size. */
__attribute__((noinline)) static cl_int set_word(struct kernel *kernel, cl_uint index,
                                                 const void *value, const void *word)
{
    struct object *object = NULL;
    if (!kernel->classified)
        classify(kernel);
    cl_int err = find_object(kernel, kernel->args[index].class, word, &object);
    if (err != CL_SUCCESS)
        return err;
    return object ? set_object(kernel, index, object)
                  : set_bytes(kernel, index, sizeof word, value);
}

cl_int kernel_set_arg(struct kernel *kernel, cl_uint index, size_t size, const void *value)
{
    if (index >= kernel->num_args)
        return CL_INVALID_ARG_INDEX;
    enum arg_class class = kernel->args[index].class;
    if (size != sizeof(cl_mem) || !value || class == CLASS_SCALAR)
        return set_bytes(kernel, index, size, value);
    void *word;
    memcpy(&word, value, sizeof word);
    if (kernel->classified && class <= CLASS_MEM) {
        struct object *object = object_check(word, KIND_MEM);
        if (object && object->driver == kernel->object.driver)
            return set_object(kernel, index, object);
        if (class == CLASS_UNKNOWN && !object_in_band(word))
            return set_bytes(kernel, index, size, value);
    }
    return set_word(kernel, index, value, word);
}

cl_int kernel_set_svm(struct kernel *kernel, cl_uint index, const void *pointer)
{
    if (index >= kernel->num_args)
        return CL_INVALID_ARG_INDEX;
    cl_int err =
        kernel->object.driver->clSetKernelArgSVMPointer(kernel_real(kernel), index, pointer);
    if (err != CL_SUCCESS)
        return err;
    struct kernel_arg *arg = &kernel->args[index];
    err = record_bytes(arg, sizeof pointer, &pointer);
    if (err == CL_SUCCESS)
        arg->kind = ARG_SVM;
    atomic_store_explicit(&kernel->noted, 0, memory_order_relaxed);
    return err;
}

/* Exec info is what a program says of a kernel that finds pointers in memory. */
static void note_writes(const struct kernel *kernel, const struct kernel_arg *args,
                        const struct kernel_exec *execs)
{
    const struct kernel_arg *end = args + kernel->num_args;
    bool anywhere = execs != NULL;
    for (const struct kernel_arg *arg = args; arg < end; arg++) {
        anywhere |= arg->kind == ARG_SVM || arg->leads_on;
        if (arg->kind != ARG_OBJECT || arg->is_read)
            continue;
        struct mem *mem = (struct mem *)arg->object;
        if (atomic_load_explicit(&mem->object.kind, memory_order_acquire) == KIND_MEM &&
            mem->object.generation == arg->generation && !(mem->flags & CL_MEM_READ_ONLY))
            mem_wrote(mem);
    }
    if (anywhere)
        atomic_fetch_add_explicit(&kernel->program->context->writes, 1, memory_order_release);
}

void kernel_note_writes(struct kernel *kernel)
{
    /* Read first: a note that is taken away meanwhile is made again by the next launch. */
    uint64_t taken = atomic_load_explicit(&mem_notes_taken, memory_order_acquire);
    note_writes(kernel, kernel->args, kernel->execs);
    atomic_store_explicit(&kernel->noted, taken, memory_order_relaxed);
}

void kernel_args_wrote(const struct kernel *kernel, const struct kernel_args *args)
{
    note_writes(kernel, args->args, args->execs);
}

struct mem *kernel_arg_mem(const struct kernel_arg *arg)
{
    struct object *object = arg->kind == ARG_OBJECT ? arg->object : NULL;
    bool is_mem = object && object->was == KIND_MEM && object_alive(object, arg->generation);
    return is_mem ? (struct mem *)object : NULL;
}

cl_int kernel_needs(const struct kernel *kernel, const struct kernel_arg *args,
                    cl_int (*need)(struct mem *mem))
{
    cl_int err = CL_SUCCESS;
    for (cl_uint i = 0; i < kernel->num_args && err == CL_SUCCESS; i++) {
        struct mem *mem = kernel_arg_mem(&args[i]);
        if (mem)
            err = need(mem);
    }
    return err;
}

/* Is it set, to something that is still there? */
static bool is_set(const struct kernel_arg *arg)
{
    if (arg->kind == ARG_OBJECT)
        return object_alive(arg->object, arg->generation);
    return arg->kind != ARG_UNSET;
}

bool kernel_args_set(const struct kernel *kernel)
{
    for (cl_uint i = 0; i < kernel->num_args; i++)
        if (!is_set(&kernel->args[i]))
            return false;
    return true;
}

static bool copy_arg(struct kernel_arg *to, const struct kernel_arg *from)
{
    to->class = from->class;
    to->is_read = from->is_read;
    to->leads_on = from->leads_on;
    if (from->kind == ARG_BYTES || from->kind == ARG_SVM) {
        if (record_bytes(to, from->size, bytes_of(from)) != CL_SUCCESS)
            return false;
    } else if (from->kind == ARG_OBJECT) {
        record_object(to, from->object, from->generation);
    }
    to->size = from->size;
    to->kind = from->kind;
    return true;
}

static void finish_arg(struct kernel_arg *arg)
{
    if (has_own(arg))
        drop_own(arg);
    arg->kind = ARG_UNSET;
}

bool kernel_arg_load(struct kernel_arg *arg, enum arg_kind kind, size_t size, const void *value,
                     struct object *object)
{
    finish_arg(arg);
    if (kind == ARG_OBJECT)
        record_object(arg, object, object->generation);
    else if (kind == ARG_SIZE)
        arg->size = size;
    else if (kind != ARG_UNSET && record_bytes(arg, size, value) != CL_SUCCESS)
        return false;
    arg->kind = (uint8_t)kind;
    return true;
}

void kernel_arg_unset(struct kernel_arg *arg)
{
    finish_arg(arg);
}

const void *kernel_arg_pointer(const struct kernel_arg *arg)
{
    const void *pointer;
    memcpy(&pointer, bytes_of(arg), sizeof pointer);
    return pointer;
}

struct kernel_args *kernel_args_create(const struct kernel *kernel)
{
    struct kernel_args *args = calloc(1, sizeof *args + kernel->num_args * sizeof *args->args);
    if (!args)
        return NULL;
    if (!kernel_execs_copy(&args->execs, kernel->execs)) {
        kernel_args_destroy(args);
        return NULL;
    }
    args->count = kernel->num_args;
    for (cl_uint i = 0; i < args->count; i++) {
        struct kernel_arg *arg = &args->args[i];
        if (!copy_arg(arg, &kernel->args[i])) {
            args->count = i;
            kernel_args_destroy(args);
            return NULL;
        }
        if (arg->kind == ARG_OBJECT && !object_hold_alive(arg->object, arg->generation))
            arg->kind = ARG_UNSET;
    }
    return args;
}

void kernel_args_destroy(struct kernel_args *args)
{
    for (cl_uint i = 0; args && i < args->count; i++) {
        if (args->args[i].kind == ARG_OBJECT)
            object_drop(args->args[i].object);
        finish_arg(&args->args[i]);
    }
    if (args)
        kernel_execs_finish(&args->execs);
    free(args);
}

static cl_int apply_arg(const struct driver *driver, cl_kernel real, cl_uint index,
                        const struct kernel_arg *arg)
{
    if (!is_set(arg))
        return CL_SUCCESS;
    switch ((enum arg_kind)arg->kind) {
    case ARG_UNSET:
        return CL_SUCCESS;
    case ARG_BYTES:
        return driver->clSetKernelArg(real, index, arg->size, bytes_of(arg));
    case ARG_SIZE:
        return driver->clSetKernelArg(real, index, arg->size, NULL);
    case ARG_OBJECT:
        return driver->clSetKernelArg(real, index, arg->size, &arg->object->real);
    case ARG_SVM:
        break;
    }
    const void *pointer = kernel_arg_pointer(arg);
    cl_int err = driver->clSetKernelArgSVMPointer
                     ? driver->clSetKernelArgSVMPointer(real, index, pointer)
                     : CL_INVALID_OPERATION;
    /* As an object that is gone, memory that was freed since leaves the argument unset. (A device
     * may take any pointer: so it is tried.) */
    return err != CL_SUCCESS && !svm_contains(pointer) ? CL_SUCCESS : err;
}

cl_int kernel_make(const struct kernel *kernel, const struct kernel_arg *args,
                   const struct kernel_exec *execs, cl_kernel *real)
{
    const struct driver *driver = kernel->program->object.driver;
    cl_int err;
    *real = driver->clCreateKernel(program_real(kernel->program), kernel_name(kernel), &err);
    for (cl_uint i = 0; i < kernel->num_args && err == CL_SUCCESS; i++)
        err = apply_arg(driver, *real, i, &args[i]);
    for (const struct kernel_exec *exec = execs; exec && err == CL_SUCCESS; exec = exec->next)
        err = kernel_exec_apply(driver, *real, exec);
    if (err == CL_SUCCESS)
        return CL_SUCCESS;
    if (*real)
        RELEASE(driver, clReleaseKernel, *real);
    *real = NULL;
    return err;
}

bool kernel_copy_state(struct kernel *to, const struct kernel *from)
{
    for (cl_uint i = 0; i < to->num_args && i < from->num_args; i++) {
        if (!copy_arg(&to->args[i], &from->args[i]))
            return false;
        to->args[i].is_held = from->args[i].is_held;
        object_hold(to->args[i].is_held ? to->args[i].object : NULL);
    }
    to->classified = from->classified;
    to->keeps = from->keeps;
    return kernel_execs_copy(&to->execs, from->execs);
}

void kernel_forget_args(struct kernel *kernel)
{
    for (cl_uint i = 0; i < kernel->num_args && kernel->args; i++)
        finish_arg(&kernel->args[i]);
    kernel_execs_finish(&kernel->execs);
}
