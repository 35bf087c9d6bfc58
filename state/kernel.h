/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels and their arguments, recorded as the application gave them. An argument has no hold on
 * the object it names (OpenCL 3.0 §5.9.2), but where the driver does otherwise (`keeps`): one that
 * is gone at a rebuild is left unset. */
#ifndef SHADOWCL_STATE_KERNEL_H
#define SHADOWCL_STATE_KERNEL_H

#include "state/mem.h"
#include "state/program.h"

enum arg_kind {
    ARG_UNSET,
    ARG_BYTES,
    ARG_SIZE,   /* a NULL value: local memory of that size, or no memory object */
    ARG_OBJECT, /* memory object, sampler, queue */
    ARG_SVM,
};

/* What the driver says that an argument is, where it does. */
enum arg_class { CLASS_UNKNOWN, CLASS_MEM, CLASS_SCALAR, CLASS_SAMPLER, CLASS_QUEUE };

#define ARG_INSIDE 16

struct kernel_arg {
    uint8_t kind;        /* enum arg_kind */
    uint8_t class;       /* enum arg_class */
    bool is_read : 1;    /* __constant, or a read_only image: no kernel can write there */
    bool is_outside : 1; /* the value is at `outside`, where `room` bytes are */
    bool is_held : 1;    /* the object, by this argument */
    bool leads_on : 1;   /* to pointers, by which the kernel may write other objects */
    uint32_t generation; /* of the object: who was meant, should the slot be used again */
    size_t size;
    union {
        struct object *object; /* of ARG_OBJECT; in kernel_args always held */
        unsigned char inside[ARG_INSIDE];
        struct {
            unsigned char *outside; /* owned */
            size_t room;
        };
    };
};

/* What clSetKernelExecInfo said last, by name. */
struct kernel_exec {
    struct kernel_exec *next;
    cl_kernel_exec_info param;
    size_t size;
    unsigned char *value; /* owned */
};

/* A kernel's arguments and exec info as they were at some moment, with the objects they name. */
struct kernel_args {
    struct kernel_exec *execs; /* owned */
    cl_uint count;
    struct kernel_arg args[];
};

struct kernel {
    struct object object;
    struct program *program;   /* held, and counted in program->kernels */
    struct kernel_arg *args;   /* behind the struct where its slot has room for them, else owned */
    cl_uint num_args;          /* the kernel's name is behind them, in the same memory */
    bool classified;           /* the arguments' classes were asked for */
    uint8_t keeps;             /* enum keeps_args of the context, once asked for */
    struct info_cache info;    /* see kernel_info_key */
    struct kernel_exec *execs; /* owned */
    /* What mem_notes_taken was when a launch last noted what these arguments may write. */
    _Atomic uint64_t noted;
    _Atomic size_t largest_group; /* work-items: the largest local size that was asked for */
};

static inline struct kernel *kernel_check(cl_kernel handle)
{
    return object_check(handle, KIND_KERNEL);
}

static inline const char *kernel_name(const struct kernel *kernel)
{
    return (const char *)(kernel->args + kernel->num_args);
}

static inline cl_kernel kernel_real(const struct kernel *kernel)
{
    return kernel->object.real;
}

/* A new shadow, not yet published, of a kernel that the driver made: holds the program. Takes over
 * `real`, and gives it back to the driver when it fails. NULL without memory. */
struct kernel *kernel_create(struct program *program, const char *name, cl_kernel real);

/* One that an image tells of, not yet published, its arguments not set: holds the program. NULL
 * without memory. */
struct kernel *kernel_load(struct program *program, const char *name, cl_uint num_args);

/* Answers of the kernel's own that are remembered: clGetKernelInfo has its param as key, an
 * argument
 * (`index`) or a device (`index` among the program's, plus one; 0: NULL) goes into the upper half.
 */
static inline cl_uint kernel_info_key(cl_uint param, cl_uint index)
{
    return param | index << 16;
}
/* Takes attributes and arguments' descriptions from the driver into a cache. */
void kernel_read_facts(const struct driver *driver, cl_kernel real, struct info_cache *info);

/* --- Arguments (state/kernel_args.c) --- */

/* clSetKernelArg without the gate: checks, calls the driver, records. */
cl_int kernel_set_arg(struct kernel *kernel, cl_uint index, size_t size, const void *value);
cl_int kernel_set_svm(struct kernel *kernel, cl_uint index, const void *pointer);
void kernel_note_writes(struct kernel *kernel);
/* Notes what a launch with the kernel's arguments, or with these, may write: see mem_wrote. Where
 * the kernel may go by pointers that it finds in memory, that is all of the context's objects. */
static inline void kernel_wrote(struct kernel *kernel)
{
    /* Once for as long as no note is taken away and no argument is another object. */
    if (atomic_load_explicit(&kernel->noted, memory_order_relaxed) !=
        atomic_load_explicit(&mem_notes_taken, memory_order_relaxed))
        kernel_note_writes(kernel);
}
void kernel_args_wrote(const struct kernel *kernel, const struct kernel_args *args);
/* The memory object that an argument names, where that is still there; else NULL. */
struct mem *kernel_arg_mem(const struct kernel_arg *arg);
/* Has `need` look at each memory object that such a launch may use, until one fails. */
cl_int kernel_needs(const struct kernel *kernel, const struct kernel_arg *args,
                    cl_int (*need)(struct mem *mem));
/* Have all arguments been set, to what is still there? */
bool kernel_args_set(const struct kernel *kernel);
/* Does the driver hold what kernels' arguments name, against the specification? Found out once per
 * context, by a kernel and a buffer or image of our own; `index` is an argument that takes `like`.
 */
enum keeps_args kernel_ask_keeps(const struct kernel *kernel, cl_uint index,
                                 const struct mem *like);
/* A copy that holds the objects, those that are still there; NULL without memory. */
struct kernel_args *kernel_args_create(const struct kernel *kernel);
void kernel_args_destroy(struct kernel_args *args);
/* Sets an argument in the shadow only, as an image tells it: `size` bytes at `value` (NULL for
 * ARG_SIZE), or the object. Forgets it. */
bool kernel_arg_load(struct kernel_arg *arg, enum arg_kind kind, size_t size, const void *value,
                     struct object *object);
void kernel_arg_unset(struct kernel_arg *arg);
/* The pointer that an argument of ARG_SVM has. */
const void *kernel_arg_pointer(const struct kernel_arg *arg);
/* Makes another real kernel with these arguments, one for each of the kernel's, and exec info. An
 * argument whose object is gone is left unset. */
cl_int kernel_make(const struct kernel *kernel, const struct kernel_arg *args,
                   const struct kernel_exec *execs, cl_kernel *real);
/* Gives another kernel the same arguments and exec info, in the shadow only (clCloneKernel). */
bool kernel_copy_state(struct kernel *to, const struct kernel *from);
/* Frees what the arguments and exec infos own. */
void kernel_forget_args(struct kernel *kernel);

/* --- Exec info (state/kernel_exec.c) --- */

/* clSetKernelExecInfo without the gate: calls the driver, records. */
cl_int kernel_set_exec(struct kernel *kernel, cl_kernel_exec_info param, size_t size,
                       const void *value);
/* Remembers what it is to say; false without memory. Forgets it. */
bool kernel_exec_load(struct kernel *kernel, cl_kernel_exec_info param, size_t size,
                      const void *value);
void kernel_exec_drop(struct kernel *kernel, struct kernel_exec *exec);
/* Tells a new real kernel of it. Pointers to memory that was freed since are no error: they are
 * left out where the driver does not take them. */
cl_int kernel_exec_apply(const struct driver *driver, cl_kernel real,
                         const struct kernel_exec *exec);
/* Lists: false without memory, and what has been copied is the caller's all the same. */
bool kernel_execs_copy(struct kernel_exec **to, const struct kernel_exec *from);
void kernel_execs_finish(struct kernel_exec **list);

/* --- Suspend and resume --- */

void kernel_capture(struct kernel *kernel);
void kernel_release(struct kernel *kernel);
int kernel_rebuild(struct kernel *kernel, struct error *err);

#endif
