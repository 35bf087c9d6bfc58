/* SPDX-License-Identifier: Apache-2.0 */
/* Memory objects: buffers and sub-buffers, and what all memory objects share. See mem.h. */
#include "state/mem.h"

#include <stdlib.h>
#include <string.h>

#include "shim/callback.h"
#include "shim/lazy.h"
#include "state/staging.h"

/* What is to be done once the driver has let go of the real object: then nothing that was enqueued
 * uses the memory under it any more. */
struct mem_end {
    struct post post;
    void *memory;                   /* owned; ours under the real buffer, where that is large */
    struct mem_callback *callbacks; /* owned */
    struct mem *handle;             /* only to be told; dead by then */
};

#define LARGE 65536 /* bytes; begins at a page */
#define ALIGN 128   /* at least CL_DEVICE_MEM_BASE_ADDR_ALIGN */

static _Atomic uint64_t total_bytes;
struct roster mem_roster;

/* Does a capture copy it? Not where its bytes are the host's, or the parent's. */
static bool needs_staging(const struct mem *mem)
{
    if (mem->parent || mem->type == CL_MEM_OBJECT_PIPE)
        return false;
    if (mem->type != CL_MEM_OBJECT_BUFFER)
        return true;
    return !mem->context->shared && !(mem->flags & CL_MEM_USE_HOST_PTR);
}

uint64_t mem_staging_size(const struct mem *mem)
{
    return needs_staging(mem) ? mem->size : 0;
}

struct mem *mem_create(struct context *context, struct mem *parent, cl_mem_object_type type,
                       cl_mem_flags flags, size_t size)
{
    struct mem *mem = object_create(KIND_MEM, sizeof *mem, context->object.driver);
    if (!mem)
        return NULL;
    mem->context = object_hold(context);
    mem->parent = object_hold(parent);
    mem->type = type;
    mem->flags = flags;
    mem->size = size;
    if (!parent)
        atomic_fetch_add_explicit(&total_bytes, size, memory_order_relaxed);
    roster_add(&mem_roster, &mem->member, mem);
    return mem;
}

static void lock(struct mem *mem)
{
    while (atomic_flag_test_and_set_explicit(&mem->lock, memory_order_acquire))
        ;
}

static void unlock(struct mem *mem)
{
    atomic_flag_clear_explicit(&mem->lock, memory_order_release);
}

static struct mem_end *end_of(struct mem *mem)
{
    if (!mem->end)
        mem->end = calloc(1, sizeof *mem->end);
    return mem->end;
}

/* Behind the end itself, in one piece: what aligns costs an allocator more than the driver's whole
 * creation of a small buffer. */
static void *alloc_inside(struct mem *mem, size_t size)
{
    char *piece = malloc(sizeof *mem->end + ALIGN + size);
    if (!piece)
        return NULL;
    mem->end = (struct mem_end *)piece;
    *mem->end = (struct mem_end){0};
    piece += sizeof *mem->end;
    return piece + -(uintptr_t)piece % ALIGN;
}

void *mem_host_alloc(struct mem *mem, size_t size)
{
    if (size < LARGE && !mem->end)
        return alloc_inside(mem, size);
    struct mem_end *end = end_of(mem);
    if (!end || posix_memalign(&end->memory, 4096, size ? size : 1) != 0)
        return NULL;
    return end->memory;
}

cl_int mem_add_callback(struct mem *mem, mem_destructor function, void *data)
{
    struct mem_callback *callback = malloc(sizeof *callback);
    if (!callback || !callback_prepare()) {
        free(callback);
        return CL_OUT_OF_HOST_MEMORY;
    }
    lock(mem);
    struct mem_end *end = end_of(mem);
    if (end) {
        *callback = (struct mem_callback){end->callbacks, function, data};
        end->callbacks = callback;
    }
    unlock(mem);
    if (!end)
        free(callback);
    return end ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
}

static void run_callbacks(struct post *post)
{
    struct mem_end *end = (struct mem_end *)post;
    struct mem_callback *callback = end->callbacks;
    while (callback) {
        struct mem_callback *next = callback->next;
        callback->function((cl_mem)end->handle, callback->data);
        free(callback);
        callback = next;
    }
    free(end);
}

/* In a driver's thread, or ours: only frees and posts. */
static void CL_CALLBACK driver_let_go(cl_mem real, void *data)
{
    struct mem_end *end = data;
    free(end->memory);
    if (!end->callbacks) {
        free(end);
        return;
    }
    end->post.run = run_callbacks;
    callback_post(&end->post);
}

static void free_parts(struct mem *mem)
{
    roster_remove(&mem_roster, &mem->member);
    if (atomic_load(&mem->owed) != MEM_UP)
        lazy_forget(mem);
    while (mem->mappings) {
        struct mapping *next = mem->mappings->next;
        mapping_destroy(mem->mappings);
        mem->mappings = next;
    }
    free(mem->properties);
    free(mem->image);
    if (!mem->parent)
        atomic_fetch_sub_explicit(&total_bytes, mem->size, memory_order_relaxed);
    object_drop(mem->parent);
    object_drop(mem->context);
}

void mem_destroy(void *object)
{
    struct mem *mem = object;
    struct mem_end *end = mem->end;
    cl_mem real = mem_real(mem);
    const struct driver *driver = mem->object.driver;
    bool told = false;
    if (end)
        end->handle = mem;
    if (real) {
        told =
            end && driver->clSetMemObjectDestructorCallback(real, driver_let_go, end) == CL_SUCCESS;
        RELEASE(driver, clReleaseMemObject, real);
    }
    if (end && !told)
        driver_let_go(real, end);
    mem->object.real = NULL;
    free_parts(mem);
}

cl_int mem_keep_properties(struct mem *mem, const cl_mem_properties *properties)
{
    if (!properties)
        return CL_SUCCESS;
    size_t words = 1;
    while (properties[words - 1])
        words += 2;
    mem->properties = malloc(words * sizeof *properties);
    if (!mem->properties)
        return CL_OUT_OF_HOST_MEMORY;
    memcpy(mem->properties, properties, words * sizeof *properties);
    mem->num_properties = words;
    return CL_SUCCESS;
}

void mem_discard(struct mem *mem)
{
    if (!mem)
        return;
    if (mem->end)
        driver_let_go(NULL, mem->end);
    free_parts(mem);
    object_discard(mem);
}

uint64_t mem_total_bytes(void)
{
    return atomic_load_explicit(&total_bytes, memory_order_relaxed);
}

static struct mem *root_of(struct mem *mem)
{
    return mem->parent ? mem->parent : mem;
}

struct mapping *mem_map(struct mem *mem, const struct mapping *like)
{
    struct mapping *mapping = malloc(sizeof *mapping);
    if (!mapping)
        return NULL;
    *mapping = *like;
    if (!mapping->pointer) {
        size_t size = mem->image ? mapping->slice_pitch * mapping->region[2] : mapping->region[0];
        if (posix_memalign(&mapping->owned, size >= LARGE ? 4096 : ALIGN, size ? size : 1) != 0) {
            free(mapping);
            return NULL;
        }
        mapping->pointer = mapping->owned;
    }
    mem_add_mapping(mem, mapping);
    return mapping;
}

void mem_add_mapping(struct mem *mem, struct mapping *mapping)
{
    lock(mem);
    struct mapping **last = &mem->mappings;
    while (*last)
        last = &(*last)->next;
    mapping->next = NULL;
    *last = mapping;
    unlock(mem);
    atomic_fetch_add_explicit(&root_of(mem)->maps, 1, memory_order_relaxed);
}

/* Takes the first mapping off the list that is `only`, or has that pointer. */
static struct mapping *take_mapping(struct mem *mem, const struct mapping *only,
                                    const void *pointer)
{
    struct mapping *found = NULL;
    lock(mem);
    for (struct mapping **p = &mem->mappings; *p; p = &(*p)->next)
        if (only ? *p == only : (*p)->pointer == pointer && !(*p)->leaving) {
            found = *p;
            *p = found->next;
            break;
        }
    unlock(mem);
    if (found)
        atomic_fetch_sub_explicit(&root_of(mem)->maps, 1, memory_order_relaxed);
    return found;
}

void mem_keep_mapping(struct mem *mem, struct mapping *mapping)
{
    mapping->leaving = true;
    mem_add_mapping(mem, mapping);
}

void mem_remove_mapping(struct mem *mem, struct mapping *mapping)
{
    take_mapping(mem, mapping, NULL);
}

struct mapping *mem_unmap(struct mem *mem, const void *pointer)
{
    return take_mapping(mem, NULL, pointer);
}

void mapping_destroy(struct mapping *mapping)
{
    if (mapping)
        free(mapping->owned);
    free(mapping);
}

cl_uint mem_map_count(struct mem *mem)
{
    cl_uint count = 0;
    lock(mem);
    for (struct mapping *m = mem->mappings; m; m = m->next)
        count += !m->leaving;
    unlock(mem);
    return count;
}
