/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.5.2: unmapping. What was mapped by the driver is unmapped by it; else what is in
 * the region is written back. The region goes when that has ended. */
#include "shim/unmap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "shim/enqueue.h"
#include "shim/export.h"
#include "shim/gate.h"
#include "shim/phase.h"
#include "shim/unheard.h"
#include "state/image.h"
#include "state/mem.h"

struct unmap {
    union {
        cl_mem handle;
        struct mem *mem;
    };
    const void *pointer;
    struct mapping *mapping; /* owned, until the driver has taken the command */
};

static cl_int unmap_check(struct queue *queue, void *data)
{
    struct unmap *args = data;
    struct mem *mem = mem_check(args->handle);
    if (!mem)
        return CL_INVALID_MEM_OBJECT;
    if (mem->context != queue->context)
        return CL_INVALID_CONTEXT;
    args->mem = mem;
    args->mapping = mem_unmap(mem, args->pointer);
    return args->mapping ? CL_SUCCESS : CL_INVALID_VALUE;
}

/* Mapped until the driver gets the command: a suspend before that must see the region as mapped. */
static cl_int unmap_keep(struct queue *queue, void *data)
{
    struct unmap *args = data;
    object_hold(args->mem);
    mem_keep_mapping(args->mem, args->mapping);
    return CL_SUCCESS;
}

static void take_off_list(struct unmap *args)
{
    if (!args->mapping || !args->mapping->leaving)
        return;
    mem_remove_mapping(args->mem, args->mapping);
    args->mapping->leaving = false;
}

static void unmap_drop(void *data)
{
    struct unmap *args = data;
    take_off_list(args);
    mapping_destroy(args->mapping);
    object_drop(args->mem);
}

/* §5.11: what never runs changes nothing. The region is mapped again, and no more to the driver: it
 * may be another one by now. */
static void map_again(struct mapping *mapping)
{
    struct mem *mem = mapping->mem;
    if (!object_hold_alive(&mem->object, mapping->generation)) {
        mapping_destroy(mapping);
        return;
    }
    mapping->real = false;
    mem_add_mapping(mem, mapping);
    object_drop(mem);
}

/* An unmap that the driver has, until its end is known. Who learns of it first tells it: the
 * driver's callback; a thread of ours, where the driver would not take that; a suspend, since a
 * callback may come later than the end of all commands. The two others ask for it, and may be left
 * in that question for good: it keeps the event, and no more. */
struct ending {
    struct leftover leftover; /* of a suspend's thread that is left in a call */
    struct unheard unheard;
    struct ending *next, **at;
    struct mapping *mapping; /* owned, until it is claimed */
    const struct driver *driver;
    cl_event real;       /* retained until it is told and nobody asks: as long it is on the list */
    unsigned askers;     /* guarded by endings_lock */
    bool is_told;        /* likewise */
    atomic_bool claimed; /* by who tells it */
    atomic_uint users;   /* the list; who is to tell, or would have been */
};

static pthread_mutex_t endings_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ending *endings;

static void ending_unref(struct ending *ending, unsigned count)
{
    if (atomic_fetch_sub(&ending->users, count) == count)
        free(ending);
}

static void add_ending(struct ending *ending)
{
    pthread_mutex_lock(&endings_lock);
    ending->next = endings;
    ending->at = &endings;
    if (endings)
        endings->at = &ending->next;
    endings = ending;
    pthread_mutex_unlock(&endings_lock);
}

/* A suspend waits for this, and then finds nothing of the driver's here. */
static void remove_ending(struct ending *ending)
{
    pthread_mutex_lock(&endings_lock);
    *ending->at = ending->next;
    if (ending->next)
        ending->next->at = ending->at;
    pthread_mutex_unlock(&endings_lock);
}

/* Was it ours to claim? Then the region has been read to its end, or never will be. Returns how
 * many references are the caller's to give back. */
static unsigned tell(struct ending *ending, cl_int status)
{
    if (atomic_exchange(&ending->claimed, true))
        return 0;
    if (status == CL_COMPLETE)
        mapping_destroy(ending->mapping);
    else
        map_again(ending->mapping);
    pthread_mutex_lock(&endings_lock);
    ending->is_told = true;
    bool is_asked = ending->askers > 0;
    pthread_mutex_unlock(&endings_lock);
    if (is_asked)
        return 0;
    RELEASE(ending->driver, clReleaseEvent, ending->real);
    remove_ending(ending);
    return 1;
}

static void CL_CALLBACK driver_says(cl_event real, cl_int status, void *data)
{
    struct ending *ending = data;
    ending_unref(ending, tell(ending, status) + 1);
}

static void come_out_of_release(struct leftover *leftover)
{
    struct ending *ending = (struct ending *)leftover;
    remove_ending(ending);
    ending_unref(ending, 1);
}

/* As tell. */
static unsigned stop_asking(struct ending *ending)
{
    pthread_mutex_lock(&endings_lock);
    bool is_last = --ending->askers == 0 && ending->is_told;
    pthread_mutex_unlock(&endings_lock);
    if (!is_last)
        return 0;
    ending->leftover.give_back = come_out_of_release;
    phase_keeps(&ending->leftover);
    {
        IN_DRIVER(ending->driver->library, NULL, false);
        CALL_RELEASE(ending->driver, clReleaseEvent, ending->real);
    }
    phase_gave(&ending->leftover);
    remove_ending(ending);
    return 1;
}

static void come_out_of_question(struct leftover *leftover)
{
    struct ending *ending = (struct ending *)leftover;
    if (stop_asking(ending))
        ending_unref(ending, 1);
}

/* By one of the askers, which it then is no more. 1: it has ended, and is told; 0: not yet; -1: the
 * driver does not say. *refs: as tell. */
static int ask_for_end(struct ending *ending, cl_int *code, unsigned *refs)
{
    cl_int status = CL_QUEUED;
    ending->leftover.give_back = come_out_of_question;
    phase_keeps(&ending->leftover);
    {
        IN_DRIVER(ending->driver->library, NULL, false);
        *code = CALL(ending->driver->clGetEventInfo(ending->real, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                                    sizeof status, &status, NULL));
    }
    phase_gave(&ending->leftover);
    bool has_ended = *code == CL_SUCCESS && status <= CL_COMPLETE;
    *refs = has_ended ? tell(ending, status) : 0;
    *refs += stop_asking(ending);
    return has_ended ? 1 : *code == CL_SUCCESS ? 0 : -1;
}

/* False: somebody tells it. */
static bool begin_to_ask(struct ending *ending)
{
    bool is_open = !atomic_load(&ending->claimed);
    ending->askers += is_open;
    return is_open;
}

static bool look(struct unheard *unheard)
{
    struct ending *ending = (struct ending *)((char *)unheard - offsetof(struct ending, unheard));
    cl_int ignored;
    unsigned refs = 0;
    pthread_mutex_lock(&endings_lock);
    bool is_open = begin_to_ask(ending);
    pthread_mutex_unlock(&endings_lock);
    bool is_over = !is_open || ask_for_end(ending, &ignored, &refs) == 1;
    if (refs || is_over)
        ending_unref(ending, refs + is_over);
    return is_over;
}

/* The first one that nobody tells, to be asked for; `left`: is there any? */
static struct ending *first_open(bool *left)
{
    pthread_mutex_lock(&endings_lock);
    struct ending *ending = endings;
    *left = ending != NULL;
    while (ending && !begin_to_ask(ending))
        ending = ending->next;
    pthread_mutex_unlock(&endings_lock);
    return ending;
}

int unmap_settle(const struct patience *patience, struct error *err)
{
    bool left = true;
    for (long pause = 2000; left;) {
        cl_int code = CL_SUCCESS;
        unsigned refs = 0;
        struct ending *ending = first_open(&left);
        int ended = ending ? ask_for_end(ending, &code, &refs) : 0;
        if (ending && refs)
            ending_unref(ending, refs);
        if (ended < 0) {
            error_object(err, "an unmap");
            return error_set(err, 0, "the driver does not answer for it (%d)", code);
        }
        if (ended || !left)
            continue;
        /* What was enqueued meanwhile may need another flush. */
        if (gate_has_passed())
            return 0;
        if (drain_wait(&pause, patience, err) != 0) {
            error_object(err, "an unmap");
            return -1;
        }
    }
    return 0;
}

void unmap_forked(void)
{
    pthread_mutex_init(&endings_lock, NULL);
    endings = NULL;
}

static struct ending *create_ending(const struct issue *to, cl_event real, struct mapping *mapping)
{
    struct ending *ending = malloc(sizeof *ending);
    if (!ending || to->driver->clRetainEvent(real) != CL_SUCCESS) {
        free(ending);
        return NULL;
    }
    *ending = (struct ending){.unheard.look = look,
                              .mapping = mapping,
                              .driver = to->driver,
                              .real = real,
                              .users = 2}; /* the list, and who is to tell */
    add_ending(ending);
    return ending;
}

/* The driver has the unmap; only its end says what becomes of the region. */
static void watch_unmap(const struct issue *to, cl_event real, struct unmap *args)
{
    struct mapping *mapping = args->mapping;
    mapping->mem = args->mem;
    mapping->generation = args->mem->object.generation;
    args->mapping = NULL;
    struct ending *ending = create_ending(to, real, mapping);
    if (!ending) {
        if (to->driver->clWaitForEvents(1, &real) == CL_SUCCESS)
            mapping_destroy(mapping);
        else
            map_again(mapping);
        return;
    }
    /* To wait here would be to wait in an enqueue, maybe for a command that waits for this thread.
     */
    if (to->driver->clSetEventCallback(real, CL_COMPLETE, driver_says, ending) != CL_SUCCESS)
        unheard_add(&ending->unheard);
}

static cl_int write_back(const struct issue *to, struct mem *mem, const struct mapping *mapping,
                         cl_event *event)
{
    if (!(mapping->flags & MAP_WRITES))
        return to->driver->clEnqueueMarkerWithWaitList(to->real, to->num_waits, to->waits, event);
    if (mem->image) {
        size_t row_pitch, slice_pitch;
        image_pitches(mem, mapping, &row_pitch, &slice_pitch);
        return to->driver->clEnqueueWriteImage(to->real, mem_real(mem), CL_FALSE, mapping->origin,
                                               mapping->region, row_pitch, slice_pitch,
                                               mapping->pointer, to->num_waits, to->waits, event);
    }
    return to->driver->clEnqueueWriteBuffer(to->real, mem_real(mem), CL_FALSE, mapping->origin[0],
                                            mapping->region[0], mapping->pointer, to->num_waits,
                                            to->waits, event);
}

static cl_int issue_unmap(const struct issue *to, struct unmap *args)
{
    const struct driver *driver = to->driver;
    bool mapped = args->mapping->real, may_fail = to->num_waits > 0;
    cl_event real = NULL;
    cl_int err = mapped ? driver->clEnqueueUnmapMemObject(to->real, mem_real(args->mem),
                                                          args->mapping->pointer, to->num_waits,
                                                          to->waits, may_fail ? &real : to->event)
                        : write_back(to, args->mem, args->mapping, &real);
    if (err != CL_SUCCESS)
        return err;
    if (!real) {
        mapping_destroy(args->mapping);
        args->mapping = NULL;
        return CL_SUCCESS;
    }
    watch_unmap(to, real, args);
    if (to->event)
        *to->event = real;
    else
        RELEASE(driver, clReleaseEvent, real);
    return CL_SUCCESS;
}

/* §5.11: what never runs changes nothing. The region stays mapped, and can be unmapped again. */
static cl_int unmap_issue(const struct issue *to, void *data)
{
    struct unmap *args = data;
    take_off_list(args);
    cl_int err = to->failed == CL_SUCCESS ? issue_unmap(to, args) : to->failed;
    if (err != CL_SUCCESS) {
        mem_add_mapping(args->mem, args->mapping);
        args->mapping = NULL;
    }
    return err;
}

static void unmap_wrote(const struct issue *to, const void *args)
{
    mem_wrote(((const struct unmap *)args)->mem);
}

/* What is written back must not be written over by what was there before. */
static cl_int unmap_needs(const struct issue *to, const void *args)
{
    return lazy_need(((const struct unmap *)args)->mem);
}

static const struct command_type unmap_type = {"clEnqueueUnmapMemObject",
                                               CL_COMMAND_UNMAP_MEM_OBJECT,
                                               COMMAND_TOLD,
                                               sizeof(struct unmap),
                                               unmap_check,
                                               unmap_issue,
                                               unmap_keep,
                                               unmap_drop,
                                               unmap_wrote,
                                               unmap_needs,
                                               NULL};

EXPORT cl_int CL_API_CALL clEnqueueUnmapMemObject(cl_command_queue command_queue, cl_mem memobj,
                                                  void *mapped_ptr, cl_uint num_events_in_wait_list,
                                                  const cl_event *event_wait_list, cl_event *event)
{
    struct unmap args = {.handle = memobj, .pointer = mapped_ptr};
    /* To the end: where it fails, the region must not seem unmapped to a suspend in between. */
    GATE(clEnqueueUnmapMemObject);
    cl_int err = enqueue(command_queue, &unmap_type, &args, CL_FALSE, num_events_in_wait_list,
                         event_wait_list, event);
    /* Still mapped, as far as the application is concerned. */
    if (err != CL_SUCCESS && args.mapping)
        mem_add_mapping(args.mem, args.mapping);
    return err;
}
