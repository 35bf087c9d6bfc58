/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of live objects of one kind that can be walked while the program runs: what is on one can
 * be held for as long as it is looked at. (object_list is for a closed gate.) */
#ifndef SHADOWCL_STATE_ROSTER_H
#define SHADOWCL_STATE_ROSTER_H

#include "state/object.h"

/* Part of an object that is on a list. */
struct member {
    struct member *next, *previous;
};

struct roster {
    struct member *first; /* guarded by a lock that all rosters share */
    size_t offset;        /* of the member in its object, bytes */
};

/* An object need not be published yet; it has to be taken off before its slot is given back. */
void roster_add(struct roster *roster, struct member *member);
void roster_remove(struct roster *roster, struct member *member);
/* Calls `visit` for each of them, alive or not, with the lock held: it takes no other. */
void roster_each(struct roster *roster, void (*visit)(void *object, void *data), void *data);
/* Those that are published and alive, newest first, each with a hold: for roster_drop. NULL without
 * memory. */
struct object **roster_hold(struct roster *roster, size_t *count);
void roster_drop(struct object **held, size_t count);

/* Around a fork: nobody is in the middle of a change, but for the forking thread itself (in a
 * signal handler), which then goes on with it on both sides. */
void roster_before_fork(void);
void roster_after_fork(void);

#endif
