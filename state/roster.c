/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of live objects: see roster.h. */
#include "state/roster.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "shim/gate.h"

#define PATIENCE 64 /* times that a thread only lets others run */

/* The thread that changes or walks a list: one word, so that a signal handler which interrupts that
 * very thread can tell, at whichever instruction it does. Held for long only by a walk. */
static _Alignas(64) _Atomic(struct gate_thread *) owner;

static void take_lock(void)
{
    struct gate_thread *nobody = NULL;
    for (unsigned i = 0; !atomic_compare_exchange_weak_explicit(
             &owner, &nobody, &gate_self, memory_order_acquire, memory_order_relaxed);
         i++) {
        nobody = NULL;
        if (i < PATIENCE)
            sched_yield();
        else /* the owner may have a lower priority than this thread */
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
}

static void give_lock(void)
{
    atomic_store_explicit(&owner, NULL, memory_order_release);
}

static struct object *object_of(const struct roster *roster, struct member *member)
{
    return (struct object *)((char *)member - roster->offset);
}

void roster_add(struct roster *roster, struct member *member)
{
    take_lock();
    *member = (struct member){.next = roster->first};
    if (roster->first)
        roster->first->previous = member;
    roster->first = member;
    give_lock();
}

void roster_remove(struct roster *roster, struct member *member)
{
    take_lock();
    if (member->previous)
        member->previous->next = member->next;
    else
        roster->first = member->next;
    if (member->next)
        member->next->previous = member->previous;
    give_lock();
}

void roster_each(struct roster *roster, void (*visit)(void *object, void *data), void *data)
{
    take_lock();
    for (struct member *m = roster->first; m; m = m->next)
        visit(object_of(roster, m), data);
    give_lock();
}

/* While it is on the list its slot is its own: it can't be another object's by now. */
static bool hold(struct object *object)
{
    return atomic_load_explicit(&object->kind, memory_order_acquire) == object->was &&
           object_hold_alive(object, object->generation);
}

struct object **roster_hold(struct roster *roster, size_t *count)
{
    size_t room = 0, held = 0;
    take_lock();
    for (struct member *m = roster->first; m; m = m->next)
        room++;
    struct object **list = malloc((room + 1) * sizeof *list);
    for (struct member *m = roster->first; list && m; m = m->next)
        if (hold(object_of(roster, m)))
            list[held++] = object_of(roster, m);
    give_lock();
    *count = held;
    return list;
}

void roster_drop(struct object **held, size_t count)
{
    for (size_t i = 0; held && i < count; i++)
        object_drop(held[i]);
    free(held);
}

static bool fork_is_nested; /* in the middle of a change of the forking thread's; by the owner */

void roster_before_fork(void)
{
    bool nested = atomic_load_explicit(&owner, memory_order_relaxed) == &gate_self;
    if (!nested)
        take_lock();
    fork_is_nested = nested;
}

void roster_after_fork(void)
{
    if (!fork_is_nested)
        give_lock();
}
