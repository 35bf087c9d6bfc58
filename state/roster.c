/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of live objects: see roster.h. */
#include "state/roster.h"

#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool changing; /* this thread has the lock, and is not just about to fork */

static void take_lock(void)
{
    pthread_mutex_lock(&lock);
    changing = true;
}

static void give_lock(void)
{
    changing = false;
    pthread_mutex_unlock(&lock);
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

void roster_before_fork(void)
{
    if (!changing)
        pthread_mutex_lock(&lock);
}

void roster_after_fork(void)
{
    if (!changing)
        pthread_mutex_unlock(&lock);
}
