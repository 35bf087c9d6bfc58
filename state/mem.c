/* SPDX-License-Identifier: Apache-2.0 */
/* Memory objects: buffers and sub-buffers, and what all memory objects share. See mem.h. */
#include "state/mem.h"

#include <stdlib.h>
#include <string.h>

#include "shim/callback.h"
#include "shim/lazy.h"
#include "state/block.h"
#include "state/image.h"
#include "state/staging.h"
#include "state/writable.h"

static _Alignas(64) _Atomic uint64_t total_bytes;
struct roster mem_roster = {.offset = offsetof(struct mem, member)};

/* A buffer over memory of the program's own, on a device that has another: it takes the contents,
 * unless it can't be written. */
static bool can_not_take(const struct mem *mem)
{
    bool is_made = atomic_load_explicit(&mem->object.kind, memory_order_acquire) == KIND_MEM;
    return is_made && !mem->context->shared && !writable(mem->host_ptr, mem->size);
}

/* Does a capture copy it? Not where its bytes are the host's, or the parent's; but for those that
 * the application has mapped, and may be writing to. */
static bool needs_staging(const struct mem *mem)
{
    if (mem->parent || mem->type == CL_MEM_OBJECT_PIPE)
        return false;
    if (mem->type != CL_MEM_OBJECT_BUFFER)
        return true;
    /* It may be in the making: what is set at once decides. */
    bool is_here = mem->context->shared || (mem->flags & CL_MEM_USE_HOST_PTR);
    return !is_here || atomic_load(&mem->maps) > 0 || can_not_take(mem);
}

uint64_t mem_staging_size(const struct mem *mem)
{
    /* That of an image which is just being made may change: see mem_resize. */
    return needs_staging(mem) ? __atomic_load_n(&mem->size, __ATOMIC_RELAXED) : 0;
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
    roster_add(&mem_roster, &mem->member);
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

static struct mem_more *more_of(struct mem *mem)
{
    struct mem_more *more = atomic_load(&mem->more);
    if (!more) {
        more = calloc(1, sizeof *more);
        atomic_store(&mem->more, more);
    }
    return more;
}

struct image *mem_be_image(struct mem *mem)
{
    mem->image = (struct image *)(mem + 1);
    *mem->image = (struct image){0};
    return mem->image;
}

/* The memory under a buffer, where it is ours. */
static void *own_memory(const struct mem *mem)
{
    return mem->parent || mem->host == mem->host_ptr ? NULL : mem->host;
}

cl_int mem_add_callback(struct mem *mem, mem_destructor function, void *data)
{
    struct mem_callback *callback = malloc(sizeof *callback);
    if (!callback || !callback_prepare()) {
        free(callback);
        return CL_OUT_OF_HOST_MEMORY;
    }
    lock(mem);
    struct mem_more *more = more_of(mem);
    if (more) {
        *callback = (struct mem_callback){more->callbacks, function, data};
        more->callbacks = callback;
    }
    unlock(mem);
    if (!more)
        free(callback);
    return more ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
}

static void free_mappings(struct mapping *mappings)
{
    while (mappings) {
        struct mapping *next = mappings->next;
        mapping_destroy(mappings);
        mappings = next;
    }
}

static void free_more(struct mem_more *more)
{
    if (more)
        free(more->properties);
    free(more);
}

static void run_callbacks(struct post *post)
{
    struct mem_more *more = (struct mem_more *)((char *)post - offsetof(struct mem_more, post));
    struct mem_callback *callback = more->callbacks;
    while (callback) {
        struct mem_callback *next = callback->next;
        callback->function((cl_mem)more->handle, callback->data);
        free(callback);
        callback = next;
    }
    free_more(more);
}

/* Once the driver has let go of the real object nothing that was enqueued uses the memory under it
 * any more. In a driver's thread, or ours: both only free and post. */
static void CL_CALLBACK let_go(cl_mem real, void *memory)
{
    block_free(memory);
}

static void CL_CALLBACK let_go_of_mappings(cl_mem real, void *mappings)
{
    free_mappings(mappings);
}

static void CL_CALLBACK let_go_and_tell(cl_mem real, void *data)
{
    struct mem_more *more = data;
    block_free(more->memory);
    free_mappings(more->mappings);
    more->post.run = run_callbacks;
    callback_post(&more->post);
}

static void free_parts(struct mem *mem)
{
    roster_remove(&mem_roster, &mem->member);
    if (atomic_load(&mem->owed) != MEM_UP)
        lazy_forget(mem);
    free_mappings(mem->mappings);
    if (mem->image)
        free(mem->image->told);
    if (!mem->parent)
        atomic_fetch_sub_explicit(&total_bytes, mem->size, memory_order_relaxed);
    object_drop(mem->parent);
    object_drop(mem->context);
}

void mem_destroy(void *object)
{
    struct mem *mem = object;
    struct mem_more *more = atomic_load(&mem->more);
    cl_mem real = mem_real(mem);
    const struct driver *driver = mem->object.driver;
    mem_destructor then = let_go;
    void *data = own_memory(mem);
    if (more && more->callbacks) {
        more->memory = data;
        more->mappings = mem->mappings;
        mem->mappings = NULL;
        more->handle = mem;
        then = let_go_and_tell;
        data = more;
    } else {
        free_more(more);
    }
    /* A map may be on its way to a region of its own; one in the object's memory has none. */
    if (!data && mem->mappings) {
        then = let_go_of_mappings;
        data = mem->mappings;
        mem->mappings = NULL;
    }
    if (real) {
        if (data && driver->clSetMemObjectDestructorCallback(real, then, data) == CL_SUCCESS)
            data = NULL;
        RELEASE(driver, clReleaseMemObject, real);
    }
    if (data)
        then(real, data);
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
    struct mem_more *more = more_of(mem);
    if (!more || !(more->properties = malloc(words * sizeof *properties)))
        return CL_OUT_OF_HOST_MEMORY;
    memcpy(more->properties, properties, words * sizeof *properties);
    more->num_properties = words;
    return CL_SUCCESS;
}

void mem_discard(struct mem *mem)
{
    if (!mem)
        return;
    block_free(own_memory(mem));
    free_more(atomic_load(&mem->more));
    free_parts(mem);
    object_discard(mem);
}

void mem_resize(struct mem *mem, size_t size)
{
    if (!mem->parent)
        atomic_fetch_add_explicit(&total_bytes, (uint64_t)size - mem->size, memory_order_relaxed);
    __atomic_store_n(&mem->size, size, __ATOMIC_RELAXED);
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
    static _Atomic uint64_t numbers;
    struct mapping *mapping = malloc(sizeof *mapping);
    if (!mapping)
        return NULL;
    *mapping = *like;
    mapping->number = ++numbers;
    if (!mapping->pointer) {
        size_t size = mem->image ? mapping->slice_pitch * mapping->region[2] : mapping->region[0];
        mapping->owned = block_alloc(size);
        if (!mapping->owned) {
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

void mem_map_failed(struct mem *mem, uint64_t number)
{
    lock(mem);
    for (struct mapping *m = mem->mappings; m; m = m->next)
        if (m->number == number)
            m->flags &= ~(cl_map_flags)MAP_WRITES;
    unlock(mem);
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
        block_free(mapping->owned);
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
