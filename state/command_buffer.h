/* SPDX-License-Identifier: Apache-2.0 */
/* cl_khr_command_buffer 0.9: command buffers, with all that was recorded in them: kernels with
 * their arguments as they were, and held memory objects. So a rebuild can record it again. */
#ifndef SHADOWCL_STATE_COMMAND_BUFFER_H
#define SHADOWCL_STATE_COMMAND_BUFFER_H

#include <CL/cl_ext.h>
#include <pthread.h>

#include "state/kernel.h"
#include "state/mem.h"

/* The newest version of which all is here: 0.9.4 brought clCommandSVMMemcpyKHR and
 * clCommandSVMMemFillKHR, and 0.9.5 gave all that record another parameter. */
#define COMMAND_BUFFER_NEWEST CL_MAKE_VERSION(0, 9, 3)

#ifndef CL_COMMAND_BUFFER_CONTEXT_KHR /* since 0.9.2 */
#define CL_COMMAND_BUFFER_CONTEXT_KHR 0x1299
#endif

/* All of the extension's functions. */
#define COMMAND_BUFFER_CALLS(X)                                                                    \
    X(clCreateCommandBufferKHR)                                                                    \
    X(clFinalizeCommandBufferKHR)                                                                  \
    X(clRetainCommandBufferKHR)                                                                    \
    X(clReleaseCommandBufferKHR)                                                                   \
    X(clEnqueueCommandBufferKHR)                                                                   \
    X(clCommandBarrierWithWaitListKHR)                                                             \
    X(clCommandCopyBufferKHR)                                                                      \
    X(clCommandCopyBufferRectKHR)                                                                  \
    X(clCommandCopyBufferToImageKHR)                                                               \
    X(clCommandCopyImageKHR)                                                                       \
    X(clCommandCopyImageToBufferKHR)                                                               \
    X(clCommandFillBufferKHR)                                                                      \
    X(clCommandFillImageKHR)                                                                       \
    X(clCommandNDRangeKernelKHR)                                                                   \
    X(clGetCommandBufferInfoKHR)

/* The driver's. They move with the driver: each command buffer has those of its real one. */
struct command_buffer_calls {
#define X(call) __typeof__(call) *call;
    COMMAND_BUFFER_CALLS(X)
#undef X
};

enum recorded_kind {
    RECORDED_BARRIER,
    RECORDED_COPY,
    RECORDED_COPY_RECT,
    RECORDED_TO_IMAGE,
    RECORDED_COPY_IMAGE,
    RECORDED_TO_BUFFER,
    RECORDED_FILL,
    RECORDED_FILL_IMAGE,
    RECORDED_KERNEL,
};

#define RECORDED_PATTERN 128 /* bytes: a cl_double16 */

/* One command. */
struct recorded {
    enum recorded_kind kind;
    cl_sync_point_khr real; /* the driver's sync point; ours is its place in the list, from 1 */
    cl_uint num_waits;
    cl_sync_point_khr *waits; /* owned; ours */
    struct mem *source;       /* held; may be NULL */
    struct mem *target;
    size_t offset, other_offset, size;
    size_t pitches[4]; /* row and slice of source and target */
    /* Origin, other origin and region; of a kernel: offset, global and local sizes. */
    size_t sizes[3][3];
    size_t pattern_size;
    unsigned char pattern[RECORDED_PATTERN]; /* or an image's colour */
    struct kernel *kernel;                   /* held */
    struct kernel_args *args;                /* owned; as they were */
    cl_kernel real_kernel;                   /* with those arguments; ours alone */
    cl_uint dims;
    bool has_offset, has_global, has_local;
};

struct command_buffer {
    struct object object;
    struct queue *queue;                          /* held */
    struct command_buffer_calls *calls;           /* owned */
    cl_command_buffer_properties_khr *properties; /* owned, as given, 0-terminated; may be NULL */
    size_t num_properties;                        /* words, the 0 included */
    struct recorded **commands;                   /* owned, in order */
    cl_uint num_commands, room;
    _Atomic bool finalized;
    _Atomic unsigned held; /* enqueues of it that are held back */
};

/* Keeps two recordings apart, while the driver gets them. */
extern pthread_mutex_t command_buffer_lock;
void command_buffer_forked(void);

static inline struct command_buffer *command_buffer_check(cl_command_buffer_khr handle)
{
    return object_check(handle, KIND_COMMAND_BUFFER);
}

/* Has the driver all of the extension's functions? */
bool command_buffer_look_up(const struct driver *driver, struct command_buffer_calls *calls);
/* Has it all of them, as they were in version 0.9.0? (0.9.5 gave them another parameter.) */
bool command_buffer_usable(const struct driver *driver);
/* May enqueues of it overlap? */
bool command_buffer_simultaneous(const struct command_buffer *buffer);
/* A new one with its real one, not yet published; holds the queue. What the driver says. */
cl_int command_buffer_create(struct queue *queue,
                             const cl_command_buffer_properties_khr *properties,
                             struct command_buffer **buffer);
/* The same without a real one: no driver is asked. NULL without memory. */
struct command_buffer *command_buffer_load(struct queue *queue,
                                           const cl_command_buffer_properties_khr *properties);
/* Is an enqueue of it with the driver, and not at its end? */
bool command_buffer_pending(const struct command_buffer *buffer);

/* Gives one command to the driver, which answers with `real`. */
cl_int recorded_issue(struct command_buffer *buffer, struct recorded *command);
/* Makes room for one more command: what the driver has recorded can't be taken back. */
cl_int command_buffer_reserve(struct command_buffer *buffer);
/* Appends a command that the driver has; it is the buffer's now. */
void command_buffer_add(struct command_buffer *buffer, struct recorded *command);
/* Frees it and drops what it holds; NULL is fine. */
void recorded_destroy(struct recorded *command);

/* Waits until the driver has seen the end of its last run, at most until the deadline. */
int command_buffer_capture(struct command_buffer *buffer, int64_t deadline, struct error *err);
void command_buffer_release(struct command_buffer *buffer);
int command_buffer_rebuild(struct command_buffer *buffer, struct error *err);

#endif
