/* SPDX-License-Identifier: Apache-2.0 */
/* Queues for contents, and waiting for what they were given: see copier.h. */
#include "state/copier.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "shim/config.h"
#include "shim/gate.h"
#include "shim/phase.h"
#include "state/staging.h"
#include "state/tally.h"

#define MOST_COPIES 256 /* on the way at once */
#define SPIN_NS 100000
#define LONGEST_NS 1000000
#define LOOK_NS 50000000 /* between two looks at what has ended, while more is enqueued */

struct copies {
    struct leftover
        leftover; /* with what it had of the context, once that has no copier any more */
    const struct driver *driver;
    cl_command_queue copier;
    cl_command_queue made; /* a queue that is not the context's yet */
    unsigned count;
    unsigned num_counted; /* of the first of them it is known that they have ended */
    int64_t looked;       /* when that was found out, or the first was enqueued, CLOCK_MONOTONIC */
    uint64_t bytes;
    bool stuck; /* some may be on their way yet: nobody waits for the driver again */
    cl_event events[MOST_COPIES + 2];
    uint64_t sizes[MOST_COPIES + 2]; /* not counted yet (state/tally.h) */
};

static cl_command_queue make_queue(const struct context *context, cl_int *status)
{
    const struct driver *driver = context->object.driver;
    cl_device_id device = device_real(context->devices[0]);
    if (driver->version >= 200 && driver->clCreateCommandQueueWithProperties)
        return driver->clCreateCommandQueueWithProperties(context_real(context), device, NULL,
                                                          status);
    return driver->clCreateCommandQueue(context_real(context), device, 0, status);
}

/* An ordinary queue in order, on the first device. One: two gain nothing (docs/performance.md). */
static int open_queue(struct context *context, cl_command_queue *queue, struct error *err)
{
    struct copies *copies = context->copies;
    cl_int status = CL_SUCCESS;
    IN_DRIVER(context->object.driver->library, &context->object, false);
    CALL(copies->made = make_queue(context, &status));
    *queue = status == CL_SUCCESS ? copies->made : NULL;
    copies->made = NULL;
    if (status == CL_SUCCESS)
        return 0;
    return error_set(err, 0, "the driver does not make a queue to copy its contents (%d)", status);
}

static int open_copier(struct context *context, struct error *err)
{
    if (!context->copies && !(context->copies = calloc(1, sizeof *context->copies)))
        return error_set(err, 0, "no memory for a list of copies");
    return open_queue(context, &context->copier, err);
}

cl_event *context_copy(struct context *context, uint64_t bytes)
{
    struct copies *copies = context->copies;
    if (!copies->count)
        copies->looked = now_ns();
    copies->bytes += bytes;
    copies->sizes[copies->count] = bytes;
    cl_event *event = &copies->events[copies->count++];
    *event = NULL;
    return event;
}

/* Its status: 0, what went wrong, or more than 0 as long as it is on its way. Where the driver does
 * not say (*unknown), as when the device is gone, it may be on its way yet. */
static cl_int status_of(const struct driver *driver, cl_event event, bool *unknown)
{
    cl_int status = CL_QUEUED;
    cl_int code = CALL(driver->clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                              sizeof status, &status, NULL));
    *unknown |= code != CL_SUCCESS;
    return code == CL_SUCCESS ? status : code;
}

/* Some drivers copy while they take the command, and the first copies may have ended long before
 * the last is enqueued: whoever asks how far it is shall know. Where copies are fast nobody asks.
 */
static void count_ended(struct context *context)
{
    struct copies *copies = context->copies;
    bool unknown = false;
    int64_t now = now_ns();
    if (now - copies->looked < LOOK_NS)
        return;
    copies->looked = now;
    for (unsigned i = copies->num_counted; i < copies->count; i++) {
        cl_event event = copies->events[i];
        if (event && status_of(context->object.driver, event, &unknown) > CL_COMPLETE)
            return;
        tally_done(event ? copies->sizes[i] : 0);
        copies->sizes[i] = 0;
        copies->num_counted++;
    }
}

int context_copier(struct context *context, struct error *err)
{
    if (!context->copier)
        return open_copier(context, err);
    count_ended(context);
    return context->copies->count < MOST_COPIES ? 0 : context_finish_copies(context, err);
}

/* Short waits are not made longer by much, and long ones cost little. */
static void wait_a_little(int64_t waited)
{
    int64_t pause = waited / 16 < LONGEST_NS ? waited / 16 : LONGEST_NS;
    if (waited < SPIN_NS)
        sched_yield();
    else
        nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
}

static cl_int wait_for(const struct driver *driver, cl_event event, int64_t patience, bool *unknown)
{
    int64_t start = now_ns(), waited = 0;
    cl_int status = status_of(driver, event, unknown);
    while (status > CL_COMPLETE && waited < patience) {
        phase_beat();
        wait_a_little(waited);
        status = status_of(driver, event, unknown);
        waited = now_ns() - start;
    }
    *unknown |= status > CL_COMPLETE;
    return status;
}

/* A driver that takes longer than that, and than the slowest device would, hangs. */
static int64_t patience_for(uint64_t bytes)
{
    return (int64_t)(((double)config.copy_patience + (double)bytes / COPY_SLOWEST) * 1e9);
}

/* What became of copies: `worst` of all. */
static int explain(cl_int worst, int64_t patience, struct error *err)
{
    if (worst == CL_COMPLETE)
        return 0;
    err->code = worst < CL_COMPLETE ? worst : 0;
    if (worst < CL_COMPLETE)
        return error_set(err, 0, "copying its contents failed (%d)", worst);
    error_set(err, 0, "the driver has not come to an end with copying its contents in %lld s",
              (long long)(patience / 1000000000));
    return error_todo(err, "see whether the device still works");
}

/* `sizes`: what is counted once each has ended, or NULL. */
static int wait_for_all(const struct driver *driver, cl_event *events, const uint64_t *sizes,
                        size_t count, uint64_t bytes, bool *late, struct error *err)
{
    int64_t patience = patience_for(bytes);
    cl_int worst = CL_COMPLETE;
    bool unknown = false;
    for (size_t i = 0; i < count; i++) {
        if (!events[i])
            continue;
        phase_beat();
        cl_int status =
            worst > CL_COMPLETE ? worst : wait_for(driver, events[i], patience, &unknown);
        if (worst == CL_COMPLETE || status > CL_COMPLETE)
            worst = status;
        tally_done(sizes && status <= CL_COMPLETE ? sizes[i] : 0);
        cl_event event = events[i];
        events[i] = NULL;
        CALL_RELEASE(driver, clReleaseEvent, event);
    }
    *late |= unknown;
    /* A copy that comes late must not write into other memory, or nowhere. */
    if (unknown)
        staging_abandon();
    return explain(worst, patience, err);
}

int copier_wait(const struct driver *driver, cl_event *events, size_t count, uint64_t bytes,
                bool *late, struct error *err)
{
    return wait_for_all(driver, events, NULL, count, bytes, late, err);
}

int copier_await(const struct driver *driver, struct rise *rise, bool patient, struct error *err)
{
    bool unknown = false;
    int64_t patience = patience_for(rise->to - rise->up);
    if (!rise->event)
        return 0;
    cl_int status = wait_for(driver, rise->event, patient ? patience : 0, &unknown);
    if (unknown) /* and read it while it is somebody else's */
        staging_abandon();
    rise->was_late = unknown;
    if (!unknown) {
        cl_event event = rise->event;
        rise->event = NULL;
        CALL_RELEASE(driver, clReleaseEvent, event);
    }
    return explain(status, patience, err);
}

static void forget_rises(struct context *context)
{
    while (context->rises) {
        struct rise *rise = context->rises;
        context->rises = rise->next;
        if (rise->event)
            CALL_RELEASE(context->object.driver, clReleaseEvent, rise->event);
        free(rise);
    }
}

/* Whatever becomes of them. */
static void forget_copies(struct copies *copies, const struct driver *driver)
{
    copies->bytes = 0;
    copies->num_counted = 0;
    while (copies->count) {
        cl_event event = copies->events[--copies->count];
        if (event)
            CALL_RELEASE(driver, clReleaseEvent, event);
    }
}

void context_flush_copies(struct context *context)
{
    if (!context->copies || !context->copies->count)
        return;
    IN_DRIVER_COPYING(context->object.driver->library, &context->object, context->copies->bytes);
    CALL(context->object.driver->clFlush(context->copier));
}

int context_finish_copies(struct context *context, struct error *err)
{
    struct copies *copies = context->copies;
    if (!copies || !copies->count)
        return 0;
    if (copies->stuck) {
        forget_copies(copies, context->object.driver);
        error_set(err, 0, "the driver hangs: it has not come to an end with copies before");
        return error_todo(err, "see whether the device still works");
    }
    IN_DRIVER_COPYING(context->object.driver->library, &context->object, copies->bytes);
    CALL(context->object.driver->clFlush(context->copier));
    int result = wait_for_all(context->object.driver, copies->events, copies->sizes, copies->count,
                              copies->bytes, &copies->stuck, err);
    copies->count = copies->num_counted = 0;
    copies->bytes = 0;
    return result;
}

int context_open_lifter(struct context *context, struct error *err)
{
    if (!context->copier && open_copier(context, err) != 0)
        return -1;
    return context->lifter ? 0 : open_queue(context, &context->lifter, err);
}

static void drop_queue(const struct driver *driver, cl_command_queue *queue)
{
    cl_command_queue real = *queue;
    *queue = NULL;
    if (real)
        CALL_RELEASE(driver, clReleaseCommandQueue, real);
}

void context_drop_copier(struct context *context)
{
    struct error ignored = {0};
    context_finish_copies(context, &ignored);
    drop_queue(context->object.driver, &context->copier);
    drop_queue(context->object.driver, &context->lifter);
    forget_rises(context);
    free(context->copies);
    context->copies = NULL;
}

static void give_back(struct leftover *leftover)
{
    struct copies *copies = (struct copies *)leftover;
    forget_copies(copies, copies->driver);
    drop_queue(copies->driver, &copies->copier);
    drop_queue(copies->driver, &copies->made);
    free(copies);
}

void context_leave_copier(struct context *context, struct leftover **leftovers)
{
    struct copies *copies = context->copies;
    if (!copies)
        return;
    copies->leftover = (struct leftover){*leftovers, give_back};
    copies->driver = context->object.driver;
    copies->copier = context->copier;
    context->copies = NULL;
    context->copier = NULL;
    *leftovers = &copies->leftover;
}
