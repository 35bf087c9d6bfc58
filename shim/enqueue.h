/* SPDX-License-Identifier: Apache-2.0 */
/* How every enqueue goes. A command is a struct of arguments and a command_type that says how to
 * check them, hand them to the driver, and keep them. Most commands go to the driver at once. One
 * that waits, directly or not, on an unset user event is kept and handed over later (shim/hold.c):
 * user events never reach the driver. */
#ifndef SHADOWCL_SHIM_ENQUEUE_H
#define SHADOWCL_SHIM_ENQUEUE_H

#include "shim/cancel.h"
#include "shim/gate.h"
#include "shim/lazy.h"
#include "state/event.h"

/* Where a command goes; all handles are the driver's. */
struct issue {
    const struct driver *driver;
    struct queue *queue;
    cl_command_queue real;
    cl_bool blocking; /* as the application gave it; CL_FALSE for a command that was held */
    bool held;        /* handed over later: the arguments are those kept */
    cl_int failed;    /* COMMAND_TOLD: its wait list has failed with this, it never runs */
    cl_uint num_waits;
    const cl_event *waits;
    cl_event *event; /* NULL when nobody wants one */
};

enum {
    COMMAND_WAITS_ALL = 1, /* marker, barrier: an empty wait list means all that came before */
    COMMAND_BARRIER = 2,   /* what comes later waits for it */
    COMMAND_TOLD = 4,      /* `issue` is called also when it never runs, with `failed` */
};

struct command_type {
    const char *name; /* "clEnqueueCopyBuffer" */
    cl_command_type type;
    unsigned flags;
    size_t size; /* of the struct of arguments */
    /* Checks the application's arguments and turns its handles into shadow objects, in place.
     * Returns what the specification names. May be NULL. */
    cl_int (*check)(struct queue *queue, void *args);
    /* Calls the driver, unless `failed`: then it returns that. */
    cl_int (*issue)(const struct issue *to, void *args);
    /* Makes a copy of the arguments fit to be kept: holds the objects, copies arrays that the
     * application may change after the call, and what the kernel's arguments are now. NULL: nothing
     * to do. With hold_lock: it calls no driver. On an error nothing has been kept. */
    cl_int (*keep)(struct queue *queue, void *args);
    /* Undoes keep, after the command was handed over or given up. May be NULL. */
    void (*drop)(void *args);
    /* Notes what the command may write (mem_wrote), once the driver has it. NULL: nothing. */
    void (*wrote)(const struct issue *to, const void *args);
    /* Has the contents of every object that the command uses brought up (lazy_need), after a resume
     * that did not wait for them. NULL: it uses none. */
    cl_int (*needs)(const struct issue *to, const void *args);
    /* What the driver would refuse, of a command that may have to be held: it gets that later only
     * (shim/ask.h). Changes nothing. NULL: there is nothing to be asked. */
    cl_int (*ask)(struct queue *queue, void *args);
};

/* After such a resume: what `needs` says. */
cl_int enqueue_bring_up(const struct command_type *type, struct issue *to, void *args);

/* For a marker or barrier whose waits have all ended, on a queue out of order: to the driver no
 * event at all would mean every command before, so it gets one that has ended. */
cl_int enqueue_issue_behind_ended(const struct command_type *type, struct issue *to, void *args);

/* Hands a command to the driver, and notes what it may write. `num_waits` is how many events the
 * application named; those of them that the driver knows are in *to. */
static inline cl_int enqueue_issue(const struct command_type *type, struct issue *to, void *args,
                                   cl_uint num_waits)
{
    cl_int err = CL_SUCCESS;
    if (__builtin_expect(atomic_load_explicit(&lazy_owed, memory_order_relaxed) != 0, 0))
        err = enqueue_bring_up(type, to, args);
    if (err != CL_SUCCESS)
        return err;
    if (num_waits && !to->num_waits && (type->flags & COMMAND_WAITS_ALL) &&
        !queue_in_order(to->queue)) {
        err = enqueue_issue_behind_ended(type, to, args);
    } else {
        if (!to->num_waits)
            to->waits = NULL;
        err = type->issue(to, args);
    }
    if (type->wrote)
        type->wrote(to, args);
    return err;
}

/* The whole of an enqueue wrapper, gate included. `args` has type->size bytes. */
cl_int enqueue(cl_command_queue queue, const struct command_type *type, void *args,
               cl_bool blocking, cl_uint num_waits, const cl_event *waits, cl_event *event);

/* The same for the calls that programs make most, where nothing is out of the ordinary: between the
 * two the wrapper calls the driver by itself, with no wait list and `event`. */
struct plain_enqueue {
    struct queue *queue;
    struct event *shadow; /* NULL when nobody wants an event */
    cl_event *event;      /* for the driver */
    cl_event real;
    int cancel_before;
};

bool plain_make_event(struct plain_enqueue *plain, cl_command_type type);
void plain_give_event(struct plain_enqueue *plain, cl_int err, cl_event *event);

/* Goes in; false: go by enqueue(). */
__attribute__((always_inline)) static inline bool
plain_begin(struct plain_enqueue *plain, const struct command_type *type,
            cl_command_queue command_queue, cl_uint num_waits, const cl_event *waits,
            const cl_event *event)
{
    struct queue *queue = queue_check(command_queue);
    if (!queue || num_waits || waits)
        return false;
    plain->cancel_before = cancel_off();
    gate_enter(type->name);
    plain->queue = queue;
    plain->event = NULL;
    if (__builtin_expect(!atomic_load_explicit(&queue->held, memory_order_acquire) &&
                             !atomic_load_explicit(&lazy_owed, memory_order_relaxed),
                         1) &&
        (!event || plain_make_event(plain, type->type)))
        return true;
    gate_leave();
    cancel_restore(&plain->cancel_before);
    return false;
}

/* Comes out with what the driver said; the application gets its event. */
__attribute__((always_inline)) static inline cl_int plain_end(struct plain_enqueue *plain,
                                                              cl_int err, cl_event *event)
{
    if (event)
        plain_give_event(plain, err, event);
    gate_leave();
    cancel_restore(&plain->cancel_before);
    return err;
}

/* §5.11: waits for events that may be held, unset, or with the driver. */
cl_int wait_for_events(cl_uint num_events, const cl_event *events);

#endif
