/* SPDX-License-Identifier: Apache-2.0 */
/* Shadow objects: what the application holds as a handle. They lie in slots of one reserved address
 * band, so that "is this a live handle of this kind" is a range check and a load, and no wrong
 * handle can crash us. See docs/architecture.md, "Handles". */
#ifndef SHADOWCL_STATE_OBJECT_H
#define SHADOWCL_STATE_OBJECT_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shim/export.h"
#include "state/driver.h"

/* X(KIND, name, plural): in the order in which they are rebuilt. */
#define KINDS(X)                                                                                   \
    X(PLATFORM, "platform", "platforms")                                                           \
    X(DEVICE, "device", "devices")                                                                 \
    X(CONTEXT, "context", "contexts")                                                              \
    X(QUEUE, "queue", "queues")                                                                    \
    X(MEM, "mem", "mems")                                                                          \
    X(SAMPLER, "sampler", "samplers")                                                              \
    X(PROGRAM, "program", "programs")                                                              \
    X(KERNEL, "kernel", "kernels")                                                                 \
    X(COMMAND_BUFFER, "command buffer", "command buffers")                                         \
    X(EVENT, "event", "events")

enum kind {
    KIND_FREE,
    KIND_DYING, /* nobody holds it any more; destroyed when the gate opens */
#define X(kind, name, plural) KIND_##kind,
    KINDS(X)
#undef X
        KIND_COUNT
};

struct object {
    const void *dispatch;  /* cl_khr_icd: loaders call through the first word … */
    void *reserved;        /* … and cl_khr_icd 2.0 keeps the second */
    _Atomic uint32_t kind; /* enum kind; KIND_FREE once released */
    _Atomic uint32_t refs; /* the application's references (CL_*_REFERENCE_COUNT) */
    /* Ours: one for refs > 0 and one for each object that needs this one. */
    _Atomic uint32_t holds;
    uint32_t generation : 24; /* how often the slot has been used */
    uint32_t was : 8;         /* enum kind, also while dying */
    uint64_t serial;          /* order of creation in the process */
    void *real;               /* the driver's handle; NULL while suspended */
    const struct driver *driver;
    const char *refusal; /* why it can't be carried; NULL: it can. A string literal. */
    struct object *next; /* in the list of slots waiting to be reused, or to be destroyed */
};

/* A slot holds any shadow object; what is variable lies outside, owned by the object. */
#define OBJECT_SLOT 256

extern OURS uintptr_t object_band;              /* where the band begins */
extern OURS _Atomic uintptr_t object_band_used; /* bytes of it that can be read */

/* May the address be read as part of a slot? */
static inline bool object_in_band(const void *address)
{
    return (uintptr_t)address - object_band <
           atomic_load_explicit(&object_band_used, memory_order_relaxed);
}

/* The live object of that kind behind a handle, or NULL. Never reads outside of the band. */
static inline void *object_check(const void *handle, enum kind kind)
{
    uintptr_t offset = (uintptr_t)handle - object_band;
    if (offset >= atomic_load_explicit(&object_band_used, memory_order_relaxed) ||
        offset % OBJECT_SLOT)
        return NULL;
    struct object *object = (struct object *)handle;
    if (!object)
        __builtin_unreachable(); /* told, the compiler does not look again */
    return atomic_load_explicit(&object->kind, memory_order_acquire) == kind ? object : NULL;
}

/* Reserves the band: as large as the limits allow. Called once, before any object_create.
 * Returns the number of slots, 0 where not even the smallest band can be had. */
size_t object_init(const void *dispatch);

/* The first half of object_create: the object without what its kind adds. */
struct object *object_take(enum kind kind, const struct driver *driver);

/* A zeroed object with one reference of the application, or NULL when memory or the band is used
 * up. `size` is that of the kind's struct, at most OBJECT_SLOT. It becomes a valid handle by
 * object_publish(), when it is complete. Inline: a size that the compiler knows is zeroed by a few
 * instructions. */
static inline void *object_create(enum kind kind, size_t size, const struct driver *driver)
{
    assert(size <= OBJECT_SLOT);
    struct object *object = object_take(kind, driver);
    if (object)
        memset(object + 1, 0, size - sizeof *object);
    return object;
}
static inline void object_publish(void *handle)
{
    struct object *object = (struct object *)handle;
    atomic_store_explicit(&object->kind, object->was, memory_order_release);
}
/* Undoes object_create for an object that was never published. */
void object_discard(void *object);

/* The application's references. The last one drops the hold that comes with them, and
 * object_release fails for an object with none (CL_INVALID_*). object_retain does not, as long as
 * another object holds it: pyopencl asks a queue for its context, and retains that. */
bool object_retain(void *object);
bool object_release(void *object);

/* Our own: an object that is held stays, also after the application's last release, and its handle
 * stays valid, as the specification has it for a context that a queue still uses. Taking and
 * dropping NULL does nothing. object_hold returns its argument. */
static inline void *object_hold(void *handle)
{
    struct object *object = (struct object *)handle;
    if (object)
        atomic_fetch_add_explicit(&object->holds, 1, memory_order_relaxed);
    return object;
}
/* What the drop of the last hold calls. */
void object_end(struct object *object);
static inline void object_drop(void *handle)
{
    struct object *object = (struct object *)handle;
    if (object && atomic_fetch_sub_explicit(&object->holds, 1, memory_order_acq_rel) == 1)
        object_end(object);
}
/* Is what was in the slot when it had that generation still alive? For pointers without a hold. */
static inline bool object_alive(const struct object *object, uint32_t generation)
{
    return atomic_load_explicit(&object->kind, memory_order_acquire) > KIND_DYING &&
           object->generation == generation;
}
/* object_hold for such a pointer; false where the object is gone. */
bool object_hold_alive(struct object *object, uint32_t generation);

/* Destroys those whose last hold was dropped while the gate was closed. The caller either is inside
 * the gate, or has closed it and has no driver: one that does not come back is waited for. */
void object_reap(void);
/* The same once the gate is open again; never waits for that. */
void object_reap_late(void);
bool object_any_dying(void);
/* Takes one of those from the list, so that it stays until object_end() is called for it again.
 * False where it is none of them. With the gate closed. */
bool object_take_dying(struct object *wanted);

/* The ordered list of all live objects: kinds in the order of KINDS, within a kind in order of
 * creation. `dying`: also those whose last hold was dropped. Only while the gate is closed. The
 * caller frees it; NULL without memory. */
struct object **object_list(bool dying, size_t *count);
/* Calls `visit` for all live objects that are of this kind, or were until their last hold was
 * dropped, in any order. Only while the gate is closed. */
void object_each(enum kind was, void (*visit)(void *object, void *data), void *data);
/* How many of each kind there are now, as a snapshot: counts[KIND_COUNT]. */
void object_count(size_t *counts);

const char *kind_name(enum kind kind);
/* In a forked child: locks that a thread which is not there held are free. */
void object_forked(void);

/* What the last hold's end calls, one per kind (state/<kind>.c): gives the real object back (unless
 * suspended: real is NULL) and frees what the object owns. The slot is freed by the caller. */
void platform_destroy(void *object);
void device_destroy(void *object);
void context_destroy(void *object);
void queue_destroy(void *object);
void mem_destroy(void *object);
void sampler_destroy(void *object);
void program_destroy(void *object);
void kernel_destroy(void *object);
void command_buffer_destroy(void *object);
void event_destroy(void *object);

#endif
