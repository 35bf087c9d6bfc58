/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a suspend in which the program may be let go on at any moment: where a driver's call
 * never comes back, the thread that made it is left there (shim/phase.h), and the program goes on
 * with the same driver. */
#ifndef SHADOWCL_SHIM_LEAVE_H
#define SHADOWCL_SHIM_LEAVE_H

#include <stdbool.h>

#include "shim/error.h"
#include "shim/phase.h"

struct leave_job {
    int (*act)(void *data);
    void *data;
    /* The thread is in its call yet: what it was about to change becomes nobody's, and what is to
     * be given back to the driver once it has come out is put in front of the leftovers. May be
     * NULL. It calls no driver. */
    void (*clean)(void *data, struct leftover **leftovers);
    /* The thread has nothing of what the driver is to give back in a suspend: none is refused. */
    bool apart;
};

/* Runs `act` on a thread of its own and returns what it does. (With the gate closed that destroys
 * no object whose last hold it drops: see object_end.) -1 and *left: it was left in a call, and err
 * says in which driver and where. */
int leave_run(const struct leave_job *job, bool *left, struct error *err);
/* Refuses, by name, as long as a thread that was left is in its call yet: it has something of what
 * the driver is to give back. */
int leave_refuse(struct error *err);
void leave_forked(void);

/* A `clean` for whoever copies contents with the gate closed. */
void leave_copies(void *unused, struct leftover **leftovers);

#endif
