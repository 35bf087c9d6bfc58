/* SPDX-License-Identifier: Apache-2.0 */
/* Can another device do what the program's objects use? */
#ifndef SHADOWCL_SHIM_COMPATIBLE_H
#define SHADOWCL_SHIM_COMPATIBLE_H

#include "shim/checkpoint.h"
#include "shim/findings.h"
#include "state/device.h"

/* `from`: the program's device, which it uses now where it is `running`; `to` the one that is to
 * stand in for it, `real` its handle with a loaded driver. What the program was only told is a
 * warning in the report, or with `strict` an error. On a difference that matters, err names the
 * object, what it needs and what there is; with `findings` (may be NULL) all of them are put there,
 * and the result is 0. */
int compatible(struct device *from, struct device *to, cl_device_id real, bool running, bool strict,
               struct object *const *objects, size_t count, struct report *report,
               struct findings *findings, struct error *err);

#endif
