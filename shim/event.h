/* SPDX-License-Identifier: Apache-2.0 */
/* The application's event callbacks, §5.11: each is called exactly once, on our callback thread. */
#ifndef SHADOWCL_SHIM_EVENT_H
#define SHADOWCL_SHIM_EVENT_H

#include "state/event.h"

struct event_callback;

/* The driver has the event's command; with hold_lock. Returns the callbacks of which it is still to
 * be told. */
struct event_callback *event_issued(struct event *event, cl_event real);
/* Tells it of them, without the lock: what it does in that call is its own affair. */
void event_arm_callbacks(struct event *event, struct event_callback *first);
/* Has the command got as far as to that status? One that has failed is past all of them. Of an
 * event that is with the driver or has ended; inside the gate. */
bool event_has_come_to(struct event *event, cl_int type, cl_int *status);
/* Posts every callback that has not been posted: the event has ended. With hold_lock. */
void event_post_callbacks(struct event *event);

#endif
