/* SPDX-License-Identifier: Apache-2.0 */
/* Letting the drivers go, and proving it. */
#ifndef SHADOWCL_SHIM_RELEASE_H
#define SHADOWCL_SHIM_RELEASE_H

#include <stdbool.h>
#include <stddef.h>

#include "shim/error.h"
#include "shim/report.h"
#include "state/object.h"

/* Gives every driver object back, children first, and unloads the drivers. Never fails: one that
 * hangs is abandoned, which is a warning in the report; true: there was one. */
bool release_all(struct object *const *objects, size_t count, struct report *report);
/* Nothing of the device may be left open or mapped; what a driver has kept is taken from it. */
int release_prove(struct report *report, struct error *err);
/* After a resume that failed: it may have opened the device, which can be unplugged again. What is
 * left is a warning. */
void release_again(struct report *report);

#endif
