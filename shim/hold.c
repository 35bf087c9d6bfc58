/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that are held back, and user events, which never reach the driver. See hold.h.
 *
 * A command depends only on events that were there before it, so one pass over the list in order
 * finds all that can go. The driver gets each, and is told of its callbacks, without hold_lock: it
 * may run a native kernel in that very call, which enqueues commands and sets events. So another
 * pass may come in between, by whomever. What is `going` stands in the list till then, and keeps
 * back all that has to come after it; the thread that has given it to the driver finds that later.
 * (The driver's callbacks never want the lock.) */
#include "shim/hold.h"

#include <stdlib.h>
#include <string.h>

#include "shim/cancel.h"
#include "shim/event.h"

struct held {
    struct held *next, *previous;
    uint64_t number;     /* in the order of the calls */
    bool going;          /* a thread gives it to the driver now */
    struct queue *queue; /* held */
    const struct command_type *type;
    void *args;          /* owned; kept by type->keep */
    struct event *event; /* held */
    cl_uint num_waits;
    cl_event waits[]; /* held shadow events */
};

pthread_mutex_t hold_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER; /* an event has left UNSET or HELD */
static struct held *first, *last;
static size_t count;
static uint64_t numbers; /* of the last one held */
static uint64_t pass;    /* each pass over the list has a number, see `blocked_in` */

static bool is_barrier(const struct held *held)
{
    return held->type->flags & COMMAND_BARRIER;
}

static bool is_pending(struct event *event)
{
    return event_place(event) <= EVENT_HELD;
}

static bool any_pending(cl_uint num_waits, const cl_event *waits)
{
    for (cl_uint i = 0; i < num_waits; i++)
        if (is_pending((struct event *)waits[i]))
            return true;
    return false;
}

static bool waits_for_all(const struct command_type *type, cl_uint num_waits)
{
    return (type->flags & COMMAND_WAITS_ALL) && num_waits == 0;
}

bool hold_needed(struct queue *queue, const struct command_type *type, cl_uint num_waits,
                 const cl_event *waits)
{
    if (any_pending(num_waits, waits))
        return true;
    if (!atomic_load(&queue->held))
        return false;
    return queue_in_order(queue) || waits_for_all(type, num_waits) || queue->barriers;
}

static void link_last(struct held *held)
{
    held->previous = last;
    *(last ? &last->next : &first) = held;
    last = held;
}

static void take_off(struct held *held)
{
    *(held->previous ? &held->previous->next : &first) = held->next;
    *(held->next ? &held->next->previous : &last) = held->previous;
}

cl_int hold_command(struct queue *queue, const struct command_type *type, const void *args,
                    cl_uint num_waits, const cl_event *waits, struct event *event)
{
    struct held *held = malloc(sizeof *held + num_waits * sizeof *waits);
    void *copy = malloc(type->size ? type->size : 1);
    if (!held || !copy) {
        free(held);
        free(copy);
        return CL_OUT_OF_HOST_MEMORY;
    }
    memcpy(copy, args, type->size);
    cl_int err = type->keep ? type->keep(queue, copy) : CL_SUCCESS;
    if (err != CL_SUCCESS) {
        free(held);
        free(copy);
        return err;
    }
    *held = (struct held){.number = ++numbers,
                          .queue = object_hold(queue),
                          .type = type,
                          .args = copy,
                          .event = object_hold(event),
                          .num_waits = num_waits};
    for (cl_uint i = 0; i < num_waits; i++)
        held->waits[i] = object_hold(waits[i]);
    link_last(held);
    count++;
    atomic_fetch_add(&queue->held, 1);
    queue->barriers += is_barrier(held);
    return CL_SUCCESS;
}

static void end_event(struct event *event, cl_int status)
{
    atomic_store(&event->status, status);
    atomic_store_explicit(&event->place, EVENT_ENDED, memory_order_release);
    event_post_callbacks(event);
}

/* A held command that an error has reached ends with it; else the driver gets it. Without the lock.
 */
static cl_int give(struct held *held, cl_event *real)
{
    cl_event *waits = calloc(held->num_waits + 1, sizeof *waits);
    cl_int status = waits ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
    struct issue to = {.driver = held->queue->object.driver,
                       .queue = held->queue,
                       .real = queue_real(held->queue),
                       .held = true,
                       .event = real};
    for (cl_uint i = 0; i < held->num_waits && status == CL_SUCCESS; i++) {
        struct event *event = (struct event *)held->waits[i];
        if (event_place(event) == EVENT_ISSUED)
            waits[to.num_waits++] = event_real(event);
        else if (atomic_load(&event->status) < 0)
            status = CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST;
    }
    to.waits = waits;
    to.failed = status;
    if (status == CL_SUCCESS)
        status = enqueue_issue(held->type, &to, held->args, held->num_waits);
    else if (held->type->flags & COMMAND_TOLD)
        held->type->issue(&to, held->args);
    free(waits);
    return status;
}

/* The driver has the command; with the lock, but not while it is told of the event's callbacks. */
static void note_issued(struct event *event, cl_event real)
{
    struct event_callback *callbacks = event_issued(event, real);
    if (!callbacks)
        return;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&hold_lock);
    event_arm_callbacks(event, callbacks);
    pthread_mutex_lock(&hold_lock);
}

/* Takes it off the list, with the lock; in between it is let go. */
static void hand_over(struct held *held)
{
    cl_event real = NULL;
    held->going = true;
    pthread_mutex_unlock(&hold_lock);
    cl_int status = give(held, &real);
    gate_note_late();
    pthread_mutex_lock(&hold_lock);
    if (status == CL_SUCCESS)
        note_issued(held->event, real);
    else
        end_event(held->event, status);
    take_off(held);
    count--;
    atomic_fetch_sub(&held->queue->held, 1);
    held->queue->barriers -= is_barrier(held);
    pthread_cond_broadcast(&moved);
}

static void destroy_held(struct held *held)
{
    if (held->type->drop)
        held->type->drop(held->args);
    for (cl_uint i = 0; i < held->num_waits; i++)
        object_drop(held->waits[i]);
    object_drop(held->event);
    object_drop(held->queue);
    free(held->args);
    free(held);
}

/* May it go, given what stands before it in the list? `blocked_in` and `barrier_in` of a queue say
 * in which pass something of it stayed behind. */
static bool is_ready(struct held *held)
{
    struct queue *queue = held->queue;
    if (held->going || any_pending(held->num_waits, held->waits))
        return false;
    if (queue->barrier_in == pass)
        return false;
    bool ordered = queue_in_order(queue) || waits_for_all(held->type, held->num_waits);
    return !(ordered && queue->blocked_in == pass);
}

/* Hands over what can go, in order. Returns those handed over, to be destroyed without the lock.
 * Another pass that came in between has left what hangs on ours, and the queues' marks are its own:
 * then this one begins anew. */
static struct held *hand_over_all(void)
{
    struct held *done = NULL, *next;
    uint64_t own = ++pass;
    for (struct held *held = first; held; held = next) {
        if (!is_ready(held)) {
            held->queue->blocked_in = pass;
            if (is_barrier(held))
                held->queue->barrier_in = pass;
            next = held->next;
            continue;
        }
        hand_over(held);
        next = held->next;
        held->next = done;
        done = held;
        if (pass != own) {
            own = ++pass;
            next = first;
        }
    }
    return done;
}

cl_int hold_end(struct event *event, cl_int status)
{
    NOT_CANCELLED();
    pthread_mutex_lock(&hold_lock);
    if (event_place(event) != EVENT_UNSET) {
        pthread_mutex_unlock(&hold_lock);
        return CL_INVALID_OPERATION;
    }
    end_event(event, status);
    pthread_cond_broadcast(&moved);
    struct held *done = hand_over_all();
    pthread_mutex_unlock(&hold_lock);
    for (struct held *held = done; held; held = held->next)
        if (event_place(held->event) == EVENT_ISSUED)
            queue_flush(held->queue);
    while (done) {
        struct held *next = done->next;
        destroy_held(done);
        done = next;
    }
    return CL_SUCCESS;
}

static void unlock(void *unused)
{
    pthread_mutex_unlock(&hold_lock);
}

/* Nobody knows for how long: the two waits can be cancelled, and then don't keep the lock. */
void hold_wait_event(struct event *event)
{
    if (!is_pending(event))
        return;
    pthread_mutex_lock(&hold_lock);
    pthread_cleanup_push(unlock, NULL);
    while (is_pending(event))
        pthread_cond_wait(&moved, &hold_lock);
    pthread_cleanup_pop(true);
}

/* Up to that number. */
static bool has_held(const struct queue *queue, uint64_t number)
{
    for (const struct held *held = first; held && held->number <= number; held = held->next)
        if (held->queue == queue)
            return true;
    return false;
}

/* §5.15: what was enqueued before, and not what others enqueue meanwhile. */
void hold_wait_queue(struct queue *queue)
{
    pthread_mutex_lock(&hold_lock);
    pthread_cleanup_push(unlock, NULL);
    uint64_t number = numbers;
    while (has_held(queue, number))
        pthread_cond_wait(&moved, &hold_lock);
    pthread_cleanup_pop(true);
}

size_t hold_count(void)
{
    pthread_mutex_lock(&hold_lock);
    size_t answer = count;
    pthread_mutex_unlock(&hold_lock);
    return answer;
}

void hold_forked(void)
{
    pthread_mutex_init(&hold_lock, NULL);
    pthread_cond_init(&moved, NULL);
    for (struct held *held = first; held; held = held->next)
        held->going = false; /* by a thread that is not here */
}
