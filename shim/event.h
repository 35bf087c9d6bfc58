/* SPDX-License-Identifier: Apache-2.0 */
/* The application's event callbacks, §5.11: each is called exactly once, on our callback thread. */
#ifndef SHADOWCL_SHIM_EVENT_H
#define SHADOWCL_SHIM_EVENT_H

#include "state/event.h"

/* Tells the driver of the callbacks that wait for the event's real one; with hold_lock. */
void event_arm_callbacks(struct event *event);
/* Posts every callback that has not been posted: the event has ended. With hold_lock. */
void event_post_callbacks(struct event *event);

#endif
