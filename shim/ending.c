/* SPDX-License-Identifier: Apache-2.0 */
/* The ends of unmaps: see ending.h. */
#include "shim/ending.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "shim/gate.h"
#include "shim/phase.h"
#include "shim/unheard.h"

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

/* It has been read to its end, or never will be. */
static void settle_region(struct mapping *mapping, cl_int status)
{
    if (status == CL_COMPLETE)
        mapping_destroy(mapping);
    else
        map_again(mapping);
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
    cl_event real;   /* retained until it is told and nobody asks: as long it is on the list */
    unsigned askers; /* guarded by endings_lock, as the next two */
    bool is_claimed; /* by who tells it */
    bool is_told;
    atomic_uint users; /* the list; who is to tell, or would have been */
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

static bool claim(struct ending *ending)
{
    pthread_mutex_lock(&endings_lock);
    bool is_ours = !ending->is_claimed;
    ending->is_claimed = true;
    pthread_mutex_unlock(&endings_lock);
    return is_ours;
}

/* Unless somebody else does. Returns how many references are the caller's to give back. */
static unsigned tell(struct ending *ending, cl_int status)
{
    if (!claim(ending))
        return 0;
    settle_region(ending->mapping, status);
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

/* With the lock held. False: somebody tells it. */
static bool begin_to_ask(struct ending *ending)
{
    ending->askers += !ending->is_claimed;
    return !ending->is_claimed;
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

int endings_settle(const struct patience *patience, struct error *err)
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

void endings_forked(void)
{
    pthread_mutex_init(&endings_lock, NULL);
    endings = NULL;
}

static struct ending *create(const struct driver *driver, cl_event real, struct mapping *mapping)
{
    struct ending *ending = malloc(sizeof *ending);
    if (!ending || driver->clRetainEvent(real) != CL_SUCCESS) {
        free(ending);
        return NULL;
    }
    *ending = (struct ending){.unheard.look = look,
                              .mapping = mapping,
                              .driver = driver,
                              .real = real,
                              .users = 2}; /* the list, and who is to tell */
    add_ending(ending);
    return ending;
}

void ending_watch(const struct driver *driver, cl_event real, struct mapping *mapping)
{
    struct ending *ending = create(driver, real, mapping);
    if (!ending)
        settle_region(mapping, driver->clWaitForEvents(1, &real));
    /* To wait here would be to wait in an enqueue, maybe for a command that waits for this thread.
     */
    else if (driver->clSetEventCallback(real, CL_COMPLETE, driver_says, ending) != CL_SUCCESS)
        unheard_add(&ending->unheard);
}
