/* SPDX-License-Identifier: Apache-2.0 */
/* A context's own queues, by which contents are copied: the copier, for capture, rebuild and copies
 * beforehand, and the lifter, for commands that bring up what they need. What became of a copy only
 * its event says: a driver may take one and fail at it later, of which a finish tells nothing. */
#ifndef SHADOWCL_STATE_COPIER_H
#define SHADOWCL_STATE_COPIER_H

#include "shim/phase.h"
#include "state/context.h"

/* The copier queue: made at need, in order, on the first device. Asked for before each copy: that
 * waits for what is on its way now and then, so that a driver has no hundred thousand commands to
 * keep. */
int context_copier(struct context *context, struct error *err);
/* Where the driver is to put the event of a copy of so many bytes that the copier is given; two for
 * each time that the copier was asked for. */
cl_event *context_copy(struct context *context, uint64_t bytes);
/* Lets them begin, while the caller does other things. */
void context_flush_copies(struct context *context);
/* Waits for these copies. -1 when one has failed, or does not come to its end; err->code is the
 * driver's error, or 0. */
int context_finish_copies(struct context *context, struct error *err);
/* The copier and the lifter, with the gate closed. */
int context_open_lifter(struct context *context, struct error *err);
/* Waits for the copies and gives both back. */
void context_drop_copier(struct context *context);
/* A thread has been left in a call of the driver's that may have to do with the copies (see
 * shim/phase.h): the copier, and what it was given, are no longer the context's, but leftovers. */
void context_leave_copier(struct context *context, struct leftover **leftovers);

/* An object's contents that go up while the program runs (shim/lazy.c). They may go up in parts: of
 * each it is known that it is up before the next is begun. One whose end was not seen keeps its
 * event, and is waited for again: it must not be overtaken by anything. Those that are begun are on
 * the context's list, which goes with its copier, but not where that is left. */
struct rise {
    struct rise *next;
    const struct mem *mem;
    size_t up, to;  /* bytes that are up, and that will be when the event has ended */
    cl_event event; /* the driver's; NULL: nothing is on its way */
    bool was_late;
};
/* Waits for the command, so long as a driver may take; where `patient` is false it only looks. 0,
 * or an error; its event is let go unless its end was not seen. */
int copier_await(const struct driver *driver, struct rise *rise, bool patient, struct error *err);

/* Waits for commands of so many bytes in all, which the driver has been flushed for, and lets their
 * events go (NULL: passed over). As context_finish_copies; *late becomes true when some may be on
 * their way yet; the staging memory that they may use is then given up. */
int copier_wait(const struct driver *driver, cl_event *events, size_t count, uint64_t bytes,
                bool *late, struct error *err);

#endif
