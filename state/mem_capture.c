/* SPDX-License-Identifier: Apache-2.0 */
/* Memory objects through a suspend: contents down, the real object away, made again, contents up.
 */
#include <stdlib.h>
#include <string.h>

#include "shim/config.h"
#include "shim/phase.h"
#include "state/copier.h"
#include "state/mem.h"
#include "state/staging.h"
#include "state/stream.h"
#include "state/tally.h"
#include "state/writable.h"

struct stream_source *mem_source;

int mem_carriable(struct mem *mem, struct error *err)
{
    if (!mem->object.refusal)
        return 0;
    error_set(err, 0, "%s", mem->object.refusal);
    return error_todo(err, "let the program release it before the suspend");
}

static int driver_failed(struct error *err, const char *call, cl_int status)
{
    err->code = status;
    return error_set(err, 0, "%s failed (%d)", call, status);
}

/* `shared`: the memory is the host's; mapping and unmapping makes the driver write its caches back,
 * and costs nothing where there are none. Both are only enqueued: thousands of buffers wait once.
 */
static int synchronise(struct mem *mem, struct error *err)
{
    const struct driver *driver = mem->object.driver;
    cl_command_queue queue = mem->context->copier;
    cl_int status;
    void *pointer =
        CALL(driver->clEnqueueMapBuffer(queue, mem_real(mem), CL_FALSE, CL_MAP_READ, 0, mem->size,
                                        0, NULL, context_copy(mem->context, mem->size), &status));
    if (status != CL_SUCCESS)
        return driver_failed(err, "clEnqueueMapBuffer", status);
    cl_event *event = context_copy(mem->context, 0);
    status = CALL(driver->clEnqueueUnmapMemObject(queue, mem_real(mem), pointer, 0, NULL, event));
    if (status != CL_INVALID_VALUE)
        return status == CL_SUCCESS ? 0 : driver_failed(err, "clEnqueueUnmapMemObject", status);
    /* rusticl knows a mapping only once the map has been carried out. */
    if (context_finish_copies(mem->context, err) != 0)
        return -1;
    status = CALL(driver->clEnqueueUnmapMemObject(queue, mem_real(mem), pointer, 0, NULL,
                                                  context_copy(mem->context, 0)));
    return status == CL_SUCCESS ? 0 : driver_failed(err, "clEnqueueUnmapMemObject", status);
}

/* Are its contents still in staging memory only, after a resume that did not wait for them? */
static bool is_owed(const struct mem *mem)
{
    return atomic_load(&mem->owed) != MEM_UP;
}

/* Is its copy in staging memory the same as what the device has, or is to have? */
static bool is_copied(const struct mem *mem)
{
    if (is_owed(mem))
        return true;
    return mem->copied && !atomic_load(&mem->written) &&
           mem->written_as_all == atomic_load(&mem->context->writes);
}

/* Can contents be copied while the program runs? What lies in the program's own memory can't: that
 * has its bytes only once nothing writes there any more. Nor what several devices use: a driver
 * would move it to the one that copies, and back. */
static bool can_precopy(const struct mem *mem)
{
    return mem->context->num_devices == 1 && !mem->parent && !mem->host && !mem->object.refusal &&
           mem->type != CL_MEM_OBJECT_PIPE && !(mem->flags & CL_MEM_USE_HOST_PTR);
}

/* Every enqueue reads these two: they share no cache line with what others write all the time. */
_Alignas(64) _Atomic uint64_t mem_notes_taken = 1;
_Alignas(64) _Atomic uint32_t mem_num_owed;

/* In this order: who sees the new number makes a note that stays. */
static void take_note(struct mem *mem)
{
    mem->written_as_all = atomic_load(&mem->context->writes);
    atomic_store(&mem->written, false);
    atomic_fetch_add(&mem_notes_taken, 1);
}

bool mem_precopy_takes(struct mem *mem)
{
    if (!mem_real(mem) || !can_precopy(mem) || is_copied(mem))
        return false;
    mem->copied = false;
    take_note(mem);
    return true;
}

uint64_t mem_precopy_left(const struct mem *mem)
{
    /* One that is being made is on the list already: its maker is still writing there. */
    bool is_made = atomic_load_explicit(&mem->object.kind, memory_order_acquire) == KIND_MEM;
    return is_made && can_precopy(mem) && !is_copied(mem) ? mem->size : 0;
}

/* `event` NULL: until it is done. */
static int read_contents(struct mem *mem, void *to, cl_event *event, struct error *err)
{
    cl_bool blocking = event ? CL_FALSE : CL_TRUE;
    const char *call = mem->image ? "clEnqueueReadImage" : "clEnqueueReadBuffer";
    const struct driver *driver = mem->object.driver;
    cl_command_queue queue = mem->context->copier;
    cl_int status = mem->image ? CALL(driver->clEnqueueReadImage(
                                     queue, mem_real(mem), blocking, (const size_t[3]){0, 0, 0},
                                     mem->image->extent, 0, 0, to, 0, NULL, event))
                               : CALL(driver->clEnqueueReadBuffer(queue, mem_real(mem), blocking, 0,
                                                                  mem->size, to, 0, NULL, event));
    return status == CL_SUCCESS ? 0 : driver_failed(err, call, status);
}

static int name_mem(const struct mem *mem, struct error *err)
{
    return error_object(err, "%s %llu", mem->image ? "image" : "buffer",
                        (unsigned long long)mem->object.serial);
}

/* Of the part that begins at `at`. */
static size_t part_size(const struct mem *mem, size_t at)
{
    return mem->size - at < MEM_PART ? mem->size - at : MEM_PART;
}

/* A buffer's contents, a part after the other: none waits for the whole, and whoever asks learns
 * how far it is. */
static int each_part(struct mem *mem, int (*copy)(struct mem *, size_t, size_t, struct error *),
                     struct error *err)
{
    int result = 0;
    for (size_t at = 0; at < mem->size && result == 0; at += MEM_PART) {
        result = context_copier(mem->context, err);
        if (result == 0)
            result = copy(mem, at, part_size(mem, at), err);
    }
    return result;
}

static int read_part(struct mem *mem, size_t at, size_t size, struct error *err)
{
    cl_int status = CALL(mem->object.driver->clEnqueueReadBuffer(
        mem->context->copier, mem_real(mem), CL_FALSE, at, size, (char *)mem->contents + at, 0,
        NULL, context_copy(mem->context, size)));
    return status == CL_SUCCESS ? 0 : driver_failed(err, "clEnqueueReadBuffer", status);
}

int mem_precopy(struct mem *mem, size_t *at, size_t most, struct error *err)
{
    size_t left = mem->size - *at, size = mem->image || left < most ? left : most;
    if (!mem->contents)
        mem->contents = staging_take_reserved(mem->size);
    if (!mem->contents)
        return 1;
    if (context_copier(mem->context, err) != 0)
        return name_mem(mem, err);
    int result = mem->image
                     ? read_contents(mem, mem->contents, context_copy(mem->context, mem->size), err)
                     : read_part(mem, *at, size, err);
    if (result != 0)
        return name_mem(mem, err);
    *at += size;
    mem->copied = *at == mem->size;
    return 0;
}

void mem_precopy_undo(struct mem *mem)
{
    mem->copied = false;
}

void mem_precopied(struct mem *mem)
{
    mem->stored = true;
    mem->copied = true;
}

bool mem_is_stored(const struct mem *mem)
{
    return mem->stored && is_copied(mem);
}

static void forget(void *object, void *unused)
{
    struct mem *mem = object;
    mem->copied = false;
    mem->contents = NULL;
}

void mem_forget_contents(void)
{
    roster_each(&mem_roster, forget, NULL);
}

static void mark(void *object, void *unused)
{
    const struct mem *mem = object;
    if (mem->contents)
        staging_mark(mem->contents);
}

void mem_trim_contents(void)
{
    roster_each(&mem_roster, mark, NULL);
    staging_trim();
}

static void leave_contents(void *object, void *unused)
{
    struct mem *mem = object;
    if (is_owed(mem))
        return;
    mem->copied = false;
    mem->contents = NULL;
}

void mem_leave_contents(void)
{
    roster_each(&mem_roster, leave_contents, NULL);
}

/* What was copied beforehand is gone with the file. */
static void unstore(void *object, void *unused)
{
    struct mem *mem = object;
    if (mem->stored)
        mem->copied = false;
    mem->stored = false;
}

void mem_unstore(void)
{
    mem_source = NULL;
    roster_each(&mem_roster, unstore, NULL);
}

static void add_contents(void *object, void *data)
{
    const struct mem *mem = object;
    uint64_t *bytes = data;
    if (mem->stored || (mem->contents && mem->contents != mem->host_ptr))
        *bytes += mem->size;
}

uint64_t mem_contents_bytes(void)
{
    uint64_t bytes = 0;
    roster_each(&mem_roster, add_contents, &bytes);
    return bytes;
}

static void add_missing(void *object, void *data)
{
    const struct mem *mem = object;
    uint64_t *bytes = data;
    if (!mem->contents)
        *bytes += staging_rounded(mem_staging_size(mem));
}

uint64_t mem_missing_bytes(void)
{
    uint64_t bytes = 0;
    roster_each(&mem_roster, add_missing, &bytes);
    return bytes;
}

bool mem_streams(const struct mem *mem)
{
    return !mem->parent && !mem->host && !mem->host_ptr && mem->type != CL_MEM_OBJECT_PIPE &&
           !is_copied(mem);
}

bool mem_store(struct mem *mem)
{
    if (mem->parent || !mem->contents || mem->contents == mem->host_ptr)
        return true;
    if (mem->host)
        return false;
    mem->stored = true;
    mem->contents = NULL;
    mem->copied = false;
    return true;
}

uint64_t mem_uncaptured_bytes(const struct mem *mem)
{
    return mem->parent || is_copied(mem) ? 0 : mem->size;
}

uint64_t mem_capture_bytes(const struct mem *mem)
{
    bool is_here = mem->parent || (mem->host && !atomic_load(&mem->maps));
    return is_here || is_copied(mem) ? 0 : mem->size;
}

/* SHADOWCL_CHECK_WRITES: what is taken for unwritten is looked at, byte by byte. */
static int check_copy(struct mem *mem, struct error *err)
{
    unsigned char *now = malloc(mem->size), *then = mem->contents;
    size_t at = 0;
    if (!now)
        return error_set(err, 0, "no memory to check its copy");
    int result = context_copier(mem->context, err);
    if (result == 0)
        result = read_contents(mem, now, NULL, err);
    while (result == 0 && at < mem->size && now[at] == then[at])
        at++;
    if (result == 0 && at < mem->size) {
        error_set(err, 0, "it was taken for unwritten, but byte %zu of %zu has changed", at,
                  mem->size);
        result = error_todo(err, "this is a fault of shadowcl: suspend without --prepare, and "
                                 "please report it");
    }
    free(now);
    return result;
}

static bool takes_host_memory(const struct mem *mem)
{
    return !mem->host && mem->host_ptr && !mem->image;
}

int mem_capture(struct mem *mem, struct error *err)
{
    if (mem->parent)
        return 0;
    if (is_copied(mem))
        return config.check_writes && !is_owed(mem) ? check_copy(mem, err) : 0;
    if (context_copier(mem->context, err))
        return -1;
    bool is_mapped = atomic_load(&mem->maps) > 0;
    if (mem->host && !is_mapped) {
        mem->contents = NULL; /* of a capture before, while it was mapped */
        return synchronise(mem, err);
    }
    /* The program's memory takes its buffer's bytes, unless it can't, or may be writing there just
     * now: then see merge(). A driver that hangs might write there long after: it is not given that
     * memory. */
    if (takes_host_memory(mem) && !is_mapped && writable(mem->host_ptr, mem->size)) {
        mem->contents = mem->host_ptr;
        return stream_down_to(mem, mem->host_ptr, err);
    }
    if (!mem->contents || mem->contents == mem->host_ptr)
        mem->contents = staging_take(mem->size);
    if (!mem->contents)
        return error_set(err, 0, "no memory for its %zu bytes", mem->size);
    if (mem->image) {
        cl_int status = image_capture(mem);
        return status == CL_SUCCESS ? 0 : driver_failed(err, "clEnqueueReadImage", status);
    }
    return each_part(mem, read_part, err);
}

void mem_land(struct mem *mem)
{
    if (mem->image && mem->host_ptr && mem->contents && !mem->stored && !is_owed(mem))
        image_land(mem);
}

/* In `shared` mode the driver knows of the application's mappings. */
static void unmap_all(struct mem *mem)
{
    struct error ignored = {0};
    for (struct mapping *m = mem->mappings; m; m = m->next) {
        if (!m->real || !mem->context->copier || context_copier(mem->context, &ignored) != 0)
            continue;
        m->real = false;
        mem->object.driver->clEnqueueUnmapMemObject(mem->context->copier, mem_real(mem), m->pointer,
                                                    0, NULL,
                                                    context_copy(mem->context, m->region[0]));
    }
    context_finish_copies(mem->context, &ignored);
}

/* The mapping that covers a byte of the root, or else *next is where the next one begins. */
static const struct mapping *covering(const struct mem *root, size_t at, size_t *next)
{
    *next = root->size;
    for (const struct mapping *m = root->kept; m; m = m->kept) {
        if (m->offset <= at && at < m->offset + m->region[0])
            return m;
        if (m->offset > at && m->offset < *next)
            *next = m->offset;
    }
    return NULL;
}

/* The memory that the program has as its buffer's: its mappings lie there. */
static char *host_memory(const struct mem *mem)
{
    return mem->host || mem->image ? mem->host : mem->host_ptr;
}

/* Captured to staging memory, because the program may be writing where it has it mapped? */
static bool is_to_merge(const struct mem *mem)
{
    return !mem->parent && mem->contents && mem->contents != mem->host_ptr && !mem->stored &&
           !is_owed(mem);
}

/* Mapped: what the device had goes to the host's memory, but for the mapped regions. These are the
 * program's, which may be writing there at this very moment. Where nobody can write, no device has.
 */
static void merge(const struct mem *root, char *host)
{
    if (!writable(host, root->size))
        return;
    for (size_t at = 0; at < root->size;) {
        size_t next;
        const struct mapping *mapping = covering(root, at, &next);
        if (mapping)
            next = mapping->offset + mapping->region[0];
        else
            memcpy(host + at, (char *)root->contents + at, next - at);
        at = next;
    }
}

/* Sub-buffers are released before their parents: so the root finds everybody's mappings. */
static void keep_mappings(struct mem *mem)
{
    struct mem *root = mem->parent ? mem->parent : mem;
    for (struct mapping *m = mem->mappings; m; m = m->next) {
        m->offset = mem->origin + m->origin[0];
        m->kept = root->kept;
        root->kept = m;
    }
}

void mem_release(struct mem *mem)
{
    char *host = host_memory(mem);
    if (mem_real(mem) && host) {
        unmap_all(mem);
        NOT_FROZEN(); /* a second release must not find half of this done */
        keep_mappings(mem);
        if (is_to_merge(mem))
            merge(mem, host);
        if (mem->host)
            mem->contents = NULL;
    }
    mem->kept = NULL;
    cl_mem real = mem_real(mem);
    mem->object.real = NULL;
    if (real)
        RELEASE(mem->object.driver, clReleaseMemObject, real);
}

/* The flags for the driver: host access is checked by us, since capture reads and writes
 * everything, and where the bytes come from is ours to say. */
cl_mem_flags mem_real_flags(const struct mem *mem)
{
    return mem->flags &
           ~(cl_mem_flags)(CL_MEM_USE_HOST_PTR | CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR |
                           CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS);
}

cl_int mem_make_buffer(struct mem *mem, const void *initial)
{
    const struct driver *driver = mem->object.driver;
    cl_mem_flags flags = mem_real_flags(mem);
    void *data = mem->host ? mem->host : (void *)initial;
    if (data)
        flags |= mem->host ? CL_MEM_USE_HOST_PTR : CL_MEM_COPY_HOST_PTR;
    cl_int status;
    cl_context context = context_real(mem->context);
    if (mem_properties(mem) && driver->clCreateBufferWithProperties)
        mem->object.real = driver->clCreateBufferWithProperties(context, mem_properties(mem), flags,
                                                                mem->size, data, &status);
    else
        mem->object.real = driver->clCreateBuffer(context, flags, mem->size, data, &status);
    if (status != CL_SUCCESS)
        mem->object.real = NULL;
    return status;
}

cl_int mem_make_sub_buffer(struct mem *mem)
{
    const cl_mem_flags access = CL_MEM_READ_WRITE | CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY;
    cl_buffer_region region = {mem->origin, mem->size};
    cl_int status;
    mem->object.real = mem->object.driver->clCreateSubBuffer(
        mem_real(mem->parent), mem->flags & access, CL_BUFFER_CREATE_TYPE_REGION, &region, &status);
    if (status != CL_SUCCESS)
        mem->object.real = NULL;
    return status;
}

int mem_rebuild(struct mem *mem, struct error *err)
{
    cl_int status;
    if (mem->image)
        status = image_rebuild(mem);
    else if (mem->parent)
        status = mem_make_sub_buffer(mem);
    else
        status = mem_make_buffer(mem, NULL);
    if (status != CL_SUCCESS)
        return driver_failed(err, "making it again", status);
    return 0;
}

bool mem_has_contents(const struct mem *mem)
{
    return mem->stored || (!mem->parent && !mem->host && mem->contents);
}

int mem_upload(struct mem *mem, cl_command_queue queue, size_t at, size_t size, cl_event *event,
               struct error *err)
{
    if (mem->stored)
        return stream_up(mem, mem_source, queue, err);
    cl_int status =
        mem->image
            ? image_upload(mem, queue, event)
            : mem->object.driver->clEnqueueWriteBuffer(queue, mem_real(mem), CL_FALSE, at, size,
                                                       (char *)mem->contents + at, 0, NULL, event);
    return status == CL_SUCCESS ? 0 : driver_failed(err, "writing its contents", status);
}

static int write_part(struct mem *mem, size_t at, size_t size, struct error *err)
{
    struct context *context = mem->context;
    return mem_upload(mem, context->copier, at, size, context_copy(context, size), err);
}

int mem_send_up(struct mem *mem, struct error *err)
{
    struct context *context = mem->context;
    if (!mem->stored && !mem->image)
        return each_part(mem, write_part, err);
    return context_copier(context, err) == 0 ? write_part(mem, 0, mem->size, err) : -1;
}

bool mem_can_owe(const struct mem *mem)
{
    return mem_has_contents(mem) && !mem->stored && mem->contents != mem->host_ptr;
}

void mem_owe(struct mem *mem)
{
    atomic_store(&mem->owed, MEM_OWED);
    atomic_fetch_add(&mem_num_owed, 1);
    mem->copied = true;
    take_note(mem);
}

void mem_not_owed(struct mem *mem)
{
    atomic_store(&mem->owed, MEM_UP);
    atomic_fetch_sub(&mem_num_owed, 1);
}

static void owe_not(void *object, void *unused)
{
    atomic_store(&((struct mem *)object)->owed, MEM_UP);
}

void mem_owe_nothing(void)
{
    roster_each(&mem_roster, owe_not, NULL);
    atomic_store(&mem_num_owed, 0);
}

static void add_owed(void *object, void *data)
{
    const struct mem *mem = object;
    uint64_t *bytes = data;
    if (is_owed(mem))
        *bytes += mem->size;
}

uint64_t mem_owed_bytes(void)
{
    uint64_t bytes = 0;
    if (atomic_load(&mem_num_owed))
        roster_each(&mem_roster, add_owed, &bytes);
    return bytes;
}
