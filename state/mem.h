/* SPDX-License-Identifier: Apache-2.0 */
/* Memory objects: buffers, sub-buffers, images (state/image.c), pipes. A sub-buffer keeps its
 * parent alive. Mapped pointers are ours and outlive the driver: on a device that shares the host's
 * memory a buffer lies in memory of the shim (`host`), else each map has a region of its own. */
#ifndef SHADOWCL_STATE_MEM_H
#define SHADOWCL_STATE_MEM_H

#include "state/queue.h"
#include "state/roster.h"

/* One clEnqueueMapBuffer or clEnqueueMapImage that is not unmapped. */
struct mem;

struct mapping {
    struct mapping *next;
    char *pointer; /* what the application holds */
    void *owned;   /* the region to free once the unmap has been carried out; NULL: in mem's host */
    bool real;     /* the driver has mapped it too; never so after a rebuild */
    struct mapping *kept; /* in the root's list while its contents are merged */
    size_t offset;        /* in the root buffer, while on that list */
    cl_map_flags flags;
    size_t origin[3]; /* buffers: offset and size in [0], bytes; images: pixels */
    size_t region[3];
    size_t row_pitch;
    size_t slice_pitch;
    bool leaving;    /* the application has unmapped it, but the command is held back */
    uint64_t number; /* which it is, for who has only a copy */
    /* Whose it is, while the driver has the unmap; not held. */
    struct mem *mem;
    uint32_t generation;
};

#define MAP_WRITES (CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION)

typedef void(CL_CALLBACK *mem_destructor)(cl_mem mem, void *data);

struct mem_callback {
    struct mem_callback *next; /* the newest first: they run in reverse order (§5.5.1) */
    mem_destructor function;
    void *data;
};

/* What few memory objects have; owned by the mem. */
struct mem_more {
    cl_mem_properties *properties;  /* owned, 0-terminated; NULL: none given */
    size_t num_properties;          /* words, the 0 included */
    struct mem_callback *callbacks; /* owned; guarded by the mem's lock */
    /* Once the mem is gone: */
    struct post post;         /* runs the callbacks */
    void *memory;             /* owned; what lay under the real buffer */
    struct mapping *mappings; /* owned */
    struct mem *handle;       /* only to be told */
};

/* What the driver said of the first real image; our answers stay these. */
struct image_told {
    size_t row_pitch;   /* CL_IMAGE_ROW_PITCH */
    size_t slice_pitch; /* CL_IMAGE_SLICE_PITCH */
    size_t size;        /* CL_MEM_SIZE */
};

/* What only images have: format and descriptor, in what follows from them (state/image.h). It lies
 * behind the mem, in the same slot. */
struct image {
    size_t extent[3]; /* region of the whole image, for reads and writes */
    size_t row_pitch; /* of the host pointer, bytes, never 0 */
    size_t slice_pitch;
    struct image_told *told;      /* owned; NULL: what one would think, see image_told() */
    uint16_t order, channel_type; /* of cl_image_format; those of no format known are larger */
    uint8_t element;              /* bytes of a pixel */
    uint8_t mip_levels, samples;
    bool row_pitch_given : 1, slice_pitch_given : 1;
};

/* Where contents are after a resume that did not wait for them (shim/lazy.c). */
enum mem_owed {
    MEM_UP,     /* on the device: so it is with every other object */
    MEM_OWED,   /* in staging memory only */
    MEM_RISING, /* the same, and a thread is about to bring them up */
};

struct mem {
    struct object object;
    struct context *context; /* held */
    struct mem *parent;      /* held: of a sub-buffer, of an image made from a buffer or image */
    cl_mem_object_type type;
    _Atomic unsigned maps; /* mappings of it and of its sub-buffers */
    cl_mem_flags flags;    /* as CL_MEM_FLAGS answers */
    size_t size;           /* bytes; for images: tight */
    size_t origin;         /* of a sub-buffer, bytes */
    void *host_ptr; /* as CL_MEM_HOST_PTR answers: the application's, with CL_MEM_USE_HOST_PTR */
    /* The memory that the driver works on, for a buffer in `shared` mode: the application's
     * host_ptr, or memory of ours, freed once the driver has let go. Sub-buffers point into their
     * parent's. NULL in `copy` mode. */
    char *host;
    struct mem_more *_Atomic more; /* owned; NULL: nothing of it. Comes at any time, under lock */
    struct image *image;           /* NULL: not an image */
    struct mapping *mappings;      /* owned; guarded by lock */
    struct mapping *kept;          /* its own and its sub-buffers', while contents are merged */
    void *contents;                /* in staging or at host_ptr, while suspended */
    struct member member;          /* of mem_roster */
    unsigned written_as_all;       /* the context's `writes` when the note was taken away */
    atomic_flag lock;              /* held for a few instructions only */
    _Atomic bool written;          /* since the note was taken away: see mem_wrote */
    _Atomic uint8_t owed;          /* enum mem_owed; 0 for what has no contents of its own */
    /* For whoever suspends, resumes, or copies beforehand: one at a time. */
    bool copied : 1; /* `contents` has what it held when the note was taken away */
    bool stored : 1; /* contents are with mem_source instead */
};
_Static_assert(sizeof(struct mem) + sizeof(struct image) <= OBJECT_SLOT, "images fit into a slot");

extern struct roster mem_roster;

/* Has the contents that are not in memory, while suspended (state/stream.h). */
extern struct stream_source *mem_source;
/* They are not there any more. */
void mem_unstore(void);

static inline struct mem *mem_check(cl_mem handle)
{
    return object_check(handle, KIND_MEM);
}

static inline cl_mem mem_real(const struct mem *mem)
{
    return mem ? mem->object.real : NULL;
}

static inline struct mem *buffer_check(cl_mem handle)
{
    struct mem *mem = mem_check(handle);
    return mem && mem->type == CL_MEM_OBJECT_BUFFER ? mem : NULL;
}

static inline struct mem *image_check(cl_mem handle)
{
    struct mem *mem = mem_check(handle);
    return mem && mem->image ? mem : NULL;
}

/* A new shadow, not yet published: holds context and parent. NULL without memory. */
struct mem *mem_create(struct context *context, struct mem *parent, cl_mem_object_type type,
                       cl_mem_flags flags, size_t size);
/* For a wrapper that failed after mem_create: gives everything back. */
void mem_discard(struct mem *mem);
/* Makes it one of an image, whose extents and the like are to be set: see image_layout(). */
struct image *mem_be_image(struct mem *mem);
/* Copies the list of properties it was made with (NULL: none). */
cl_int mem_keep_properties(struct mem *mem, const cl_mem_properties *properties);
/* The list, or NULL. */
static inline const cl_mem_properties *mem_properties(const struct mem *mem)
{
    const struct mem_more *more = atomic_load(&mem->more);
    return more ? more->properties : NULL;
}
static inline size_t mem_num_properties(const struct mem *mem)
{
    const struct mem_more *more = atomic_load(&mem->more);
    return more ? more->num_properties : 0;
}
/* §5.5.1: the application's destructor callback, to be run once the driver has let go. */
cl_int mem_add_callback(struct mem *mem, mem_destructor function, void *data);

/* How often notes have been taken away, from 1 on. A note that was made when it was the same is
 * there still. */
extern OURS _Atomic uint64_t mem_notes_taken;
/* Notes that a command may write the object, once the driver has the command: inside the gate. */
static inline void mem_wrote(struct mem *mem)
{
    while (mem->parent)
        mem = mem->parent;
    if (!atomic_load_explicit(&mem->written, memory_order_relaxed))
        atomic_store_explicit(&mem->written, true, memory_order_release);
}

#define MEM_PART ((size_t)64 << 20) /* bytes of a buffer that are copied at once, at most */

/* --- Copies while the program runs (shim/precopy.c) --- */

/* Takes the note away: must the object be copied? */
bool mem_precopy_takes(struct mem *mem);
/* Bytes that would be copied if it came to a suspend now. */
uint64_t mem_precopy_left(const struct mem *mem);
/* Starts the copy of a part of it to staging memory, `most` bytes from *at, which goes to where the
 * next one begins; of an image, of all. It has to be waited for before anybody looks at it. 1: not
 * done, there is no memory reserved for it. */
int mem_precopy(struct mem *mem, size_t *at, size_t most, struct error *err);
/* The copy did not take place, or not to its end. */
void mem_precopy_undo(struct mem *mem);
/* The copy went somewhere else: to what is going to be mem_source. */
void mem_precopied(struct mem *mem);
/* Is it there, and not written since? */
bool mem_is_stored(const struct mem *mem);
/* Staging memory is about to be dropped: no object has anything there. */
void mem_forget_contents(void);
/* What is left in staging memory of objects that are gone is given back. */
void mem_trim_contents(void);
/* The same, but for those that are still owed: a copy that comes late may write there. */
void mem_leave_contents(void);
/* What of all objects is in staging memory, or with mem_source. */
uint64_t mem_contents_bytes(void);
/* Can its contents go by in chunks? Not those that the program has in its own memory, nor what is
 * copied already. */
/* Its contents are in a file: those in staging memory are not needed. False: it has some there that
 * are. With the gate closed, after its release. */
bool mem_store(struct mem *mem);
bool mem_streams(const struct mem *mem);
/* Staging memory that a capture will still want. */
uint64_t mem_missing_bytes(void);
/* Bytes that a capture will still copy. */
uint64_t mem_capture_bytes(const struct mem *mem);
/* Of which a capture has still to make sure, by a copy or, of what lies in the host's memory, not.
 */
uint64_t mem_uncaptured_bytes(const struct mem *mem);
/* What it wants of staging memory. */
uint64_t mem_staging_size(const struct mem *mem);

/* Records a mapping and gives its region: in mem's host, or new memory. `mapping->owned` and
 * `pointer` are set here. NULL without memory. */
struct mapping *mem_map(struct mem *mem, const struct mapping *like);
/* Finds the oldest mapping with that pointer and takes it off the list; the caller owns it. */
struct mapping *mem_unmap(struct mem *mem, const void *pointer);
/* For an unmap that is held back: on the list again, so that a suspend treats the region as mapped,
 * but not to be found by its pointer nor counted. */
void mem_keep_mapping(struct mem *mem, struct mapping *mapping);
/* The map never ran: nothing is written back from that region, which may be gone already. */
void mem_map_failed(struct mem *mem, uint64_t number);
/* Takes just this one off the list, or puts it (back) on it. */
void mem_remove_mapping(struct mem *mem, struct mapping *mapping);
void mem_add_mapping(struct mem *mem, struct mapping *mapping);
void mapping_destroy(struct mapping *mapping);
cl_uint mem_map_count(struct mem *mem);

/* Bytes of all memory objects that have memory of their own. */
uint64_t mem_total_bytes(void);
/* One whose size was not known when it was created. */
void mem_resize(struct mem *mem, size_t size);

/* The flags that the driver is given; the application's are answered from the shadow. */
cl_mem_flags mem_real_flags(const struct mem *mem);
/* Make the real buffer: over `host`, or with a copy of `initial` (may be NULL). */
cl_int mem_make_buffer(struct mem *mem, const void *initial);
cl_int mem_make_sub_buffer(struct mem *mem);

int mem_carriable(struct mem *mem, struct error *err);
/* Reads the contents into staging: enqueued on the context's copier, done by
 * context_finish_copies. */
int mem_capture(struct mem *mem, struct error *err);
/* After that: the program finds in its own memory what the device has written to an image. */
void mem_land(struct mem *mem);
void mem_release(struct mem *mem);
int mem_rebuild(struct mem *mem, struct error *err);
/* Has it contents that have to be brought up after a rebuild? */
bool mem_has_contents(const struct mem *mem);
/* Brings one object's contents up, of a buffer in memory `size` bytes from `at` on: enqueued on a
 * queue of the context; done when the event has ended, or, of contents in a file, by stream_finish
 * (then there is no event). Contents stay what they were. Several threads may call it at once, for
 * different objects; err->code is the driver's error, or 0. */
int mem_upload(struct mem *mem, cl_command_queue queue, size_t at, size_t size, cl_event *event,
               struct error *err);

/* The same by the context's copier, a buffer in parts. */
int mem_send_up(struct mem *mem, struct error *err);

/* --- Contents that go up while the program runs (shim/lazy.c) --- */

extern OURS _Atomic uint32_t mem_num_owed; /* objects that are not MEM_UP */
/* May its contents wait? Those in the program's own memory can't: they are the program's again
 * after its next call. Nor those in a file, which is let go of by then. */
bool mem_can_owe(const struct mem *mem);
/* Leaves the contents in staging memory. Until they are up nothing can write the object, so that
 * they are a copy of it, too. With the gate closed. */
void mem_owe(struct mem *mem);
void mem_not_owed(struct mem *mem);
/* Nothing is owed: with the gate closed. */
void mem_owe_nothing(void);
/* Bytes that are not up. */
uint64_t mem_owed_bytes(void);

/* state/image.c: the image's part of the above. */
cl_int image_capture(struct mem *mem);
void image_land(struct mem *mem);
cl_int image_upload(struct mem *mem, cl_command_queue queue, cl_event *event);
/* Makes the real image; host_data (may be NULL), laid out as the descriptor says, becomes its
 * contents. The descriptor's mem_object is not looked at. */
cl_int image_make(struct mem *mem, const cl_image_format *format, const cl_image_desc *desc,
                  const void *host_data);
/* The same from what is remembered. */
cl_int image_rebuild(struct mem *mem);
/* Bytes of a pixel as the driver has them; without its answer as they were known. */
size_t image_real_element(const struct mem *mem);

#endif
