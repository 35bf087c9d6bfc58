/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts. Each remembers its devices, properties and callbacks, and has queues of its own for
 * those who copy contents (state/copier.h). */
#ifndef SHADOWCL_STATE_CONTEXT_H
#define SHADOWCL_STATE_CONTEXT_H

#include "shim/callback.h"
#include "state/device.h"

typedef void(CL_CALLBACK *context_notify)(const char *info, const void *private_info, size_t size,
                                          void *data);
typedef void(CL_CALLBACK *context_destructor)(cl_context context, void *data);

struct context_callback {
    struct post post; /* .next: the list, the newest first: they run in reverse order */
    context_destructor function;
    void *data;
    cl_context context;
};

/* Does a driver hold what kernels' arguments name (state/kernel_keeps.c)? */
enum keeps_args { KEEPS_UNKNOWN, KEEPS_NOTHING, KEEPS_ALL };

struct context {
    struct object object;
    struct device **devices; /* owned array of held devices */
    cl_uint num_devices;
    bool from_type; /* clCreateContextFromType */
    bool shared;    /* how pointers are mapped (design, decision 6) */
    cl_context_properties
        *properties;       /* owned, as given (our handles), 0-terminated; may be NULL */
    size_t num_properties; /* words, the 0 included */
    context_notify notify;
    void *notify_data;
    struct post *_Atomic callbacks; /* owned; each is a context_callback */
    struct info_cache formats;      /* of images: what clGetSupportedImageFormats has answered */
    cl_command_queue copier;        /* the driver's; while capturing or rebuilding, else NULL */
    cl_command_queue lifter; /* the same, for commands that bring up what they need: shim/lazy.c */
    _Atomic unsigned writes; /* commands that may have written any of its objects */
    bool copying;            /* it is on the list of shim/precopy.c */
    _Atomic uint8_t keeps;   /* enum keeps_args */
    struct straggler *_Atomic stragglers; /* owned; see state/straggler.h */
    _Atomic unsigned num_stragglers;
    struct copies *copies; /* owned, with the copier: what it was given */
    struct rise *rises;    /* owned; guarded by the lock of shim/lazy.c */
};

static inline struct context *context_check(cl_context handle)
{
    return object_check(handle, KIND_CONTEXT);
}

static inline cl_context context_real(const struct context *context)
{
    return context->object.real;
}

/* A new context, not yet published: holds the devices (each once), copies the properties, decides
 * how pointers are mapped. NULL without memory. */
struct context *context_create(struct device *const *devices, cl_uint num_devices,
                               const cl_context_properties *properties);
/* The same, for who knows how pointers are mapped; no driver is asked. */
struct context *context_load(struct device *const *devices, cl_uint num_devices,
                             const cl_context_properties *properties, bool shared);
/* Makes the driver's context; what the driver answers. */
cl_int context_open(struct context *context);
void context_discard(struct context *context);

/* Is the device one of the context's? */
bool context_has_device(const struct context *context, const struct device *device);

/* May it be carried (GL, EGL, … properties are refused)? */
int context_carriable(const struct context *context, struct error *err);
void context_release(struct context *context);
int context_rebuild(struct context *context, struct error *err);

#endif
