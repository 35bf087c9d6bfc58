/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting until nothing runs on the device. Commands that wait on unset user events never get
 * there (shim/hold.c), so it always ends, or is too slow for the deadline. */
#ifndef SHADOWCL_SHIM_DRAIN_H
#define SHADOWCL_SHIM_DRAIN_H

#include "shim/error.h"
#include "state/object.h"

/* The gate is closed. `deadline` as now_ns(). */
int drain_queues(struct object *const *objects, size_t count, int64_t deadline, struct error *err);

#endif
