/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting until nothing runs on the device. Commands that wait on unset user events never get
 * there (shim/hold.c), so it always ends, or is too slow for the deadline. */
#ifndef SHADOWCL_SHIM_DRAIN_H
#define SHADOWCL_SHIM_DRAIN_H

#include "shim/error.h"
#include "state/queue.h"

/* Until when, as now_ns(), or until somebody says that it is no use any more (may be NULL). */
struct patience {
    int64_t deadline;
    bool (*give_up)(const void *data);
    const void *data;
};

/* All that the driver has by now of these queues, and of the queues that were released in these
 * contexts; other objects are passed over. What comes later is not waited for. */
int drain_queues(struct object *const *objects, size_t count, const struct patience *patience,
                 struct error *err);
/* With the gate closed: waits for the application's code inside the driver, which may run in the
 * very call that enqueues it, with nothing of it in a queue yet. */
int drain_native(const struct patience *patience, struct error *err);

/* Sleeps, a little longer each time (*pause: ns); -1 when patience is at its end. */
int drain_wait(long *pause, const struct patience *patience, struct error *err);

#endif
