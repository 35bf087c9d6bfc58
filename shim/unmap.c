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

enum ending_state { OPEN, CLAIMED, HEARD };

/* An unmap that the driver has, until its end is known. Who learns of it first tells it: the
 * driver's callback; a thread of ours, where the driver would not take that; a suspend, since a
 * callback may come later than the end of all commands. */
struct ending {
    struct leftover
        leftover; /* of a suspend's thread that a call of the driver's does not let go */
    struct unheard unheard;
    struct ending *next, **at;
    struct mapping *mapping; /* owned */
    const struct driver *driver;
    cl_event real; /* retained */
    _Atomic enum ending_state state;
    cl_int heard; /* by the callback; with HEARD: while another had claimed it */
    atomic_uint users;
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

static bool claim(struct ending *ending)
{
    enum ending_state open = OPEN;
    return atomic_compare_exchange_strong(&ending->state, &open, CLAIMED);
}

/* A suspend waits until it is off the list, and then finds nothing of the driver's here. */
static void remove_ending(struct ending *ending)
{
    pthread_mutex_lock(&endings_lock);
    *ending->at = ending->next;
    if (ending->next)
        ending->next->at = ending->at;
    pthread_mutex_unlock(&endings_lock);
}

static void come_out_of_release(struct leftover *leftover)
{
    struct ending *ending = (struct ending *)leftover;
    remove_ending(ending);
    ending_unref(ending, 1);
}

/* By who has claimed it: the region has been read to its end, or never will be. It is off the list
 * then, whose reference is left to the caller. */
static void tell(struct ending *ending, cl_int status)
{
    if (status == CL_COMPLETE)
        mapping_destroy(ending->mapping);
    else
        map_again(ending->mapping);
    ending->leftover.give_back = come_out_of_release;
    phase_keeps(&ending->leftover);
    IN_DRIVER(ending->driver->library, NULL, false);
    CALL_RELEASE(ending->driver, clReleaseEvent, ending->real);
    phase_gave(&ending->leftover);
    remove_ending(ending);
}

/* False: another has claimed it, and will see that this one has come. */
static bool claim_or_say(struct ending *ending)
{
    while (!claim(ending)) {
        enum ending_state claimed = CLAIMED;
        if (atomic_compare_exchange_strong(&ending->state, &claimed, HEARD))
            return false;
    }
    return true;
}

static void CL_CALLBACK driver_says(cl_event real, cl_int status, void *data)
{
    struct ending *ending = data;
    ending->heard = status;
    bool mine = claim_or_say(ending);
    if (mine)
        tell(ending, status);
    ending_unref(ending, mine ? 2 : 1);
}

/* Without its end having been seen; the callback may have come meanwhile. */
static void unclaim(struct ending *ending)
{
    enum ending_state claimed = CLAIMED;
    if (atomic_compare_exchange_strong(&ending->state, &claimed, OPEN))
        return;
    tell(ending, ending->heard);
    ending_unref(ending, 1);
}

static void come_out_of_question(struct leftover *leftover)
{
    unclaim((struct ending *)leftover);
}

/* By who has claimed it. 1: it has ended, and was told; 0: not yet; -1: the driver does not say. It
 * is claimed no more then. */
static int ask_for_end(struct ending *ending, cl_int *code)
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
    if (*code == CL_SUCCESS && status <= CL_COMPLETE) {
        tell(ending, status);
        return 1;
    }
    unclaim(ending);
    return *code == CL_SUCCESS ? 0 : -1;
}

/* Inside the gate: no suspend has claimed it. */
static bool look(struct unheard *unheard)
{
    struct ending *ending = (struct ending *)((char *)unheard - offsetof(struct ending, unheard));
    cl_int ignored;
    bool mine = claim(ending);
    if (mine && ask_for_end(ending, &ignored) != 1)
        return false;
    ending_unref(ending, mine ? 2 : 1);
    return true;
}

/* The first one that nobody else tells, claimed; `left`: is there any? */
static struct ending *claim_first(bool *left)
{
    pthread_mutex_lock(&endings_lock);
    struct ending *ending = endings;
    *left = ending != NULL;
    while (ending && !claim(ending))
        ending = ending->next;
    pthread_mutex_unlock(&endings_lock);
    return ending;
}

int unmap_settle(const struct patience *patience, struct error *err)
{
    bool left = true;
    for (long pause = 2000; left;) {
        cl_int code = CL_SUCCESS;
        struct ending *ending = claim_first(&left);
        int ended = ending ? ask_for_end(ending, &code) : 0;
        if (ended < 0) {
            error_object(err, "an unmap");
            return error_set(err, 0, "the driver does not answer for it (%d)", code);
        }
        if (ended)
            ending_unref(ending, 1);
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
