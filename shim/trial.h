/* SPDX-License-Identifier: Apache-2.0 */
/* Building the program's programs on another device, to see whether that can be done. The device
 * where they are stays untouched. */
#ifndef SHADOWCL_SHIM_TRIAL_H
#define SHADOWCL_SHIM_TRIAL_H

#include "shim/findings.h"
#include "state/device.h"

struct trial {
    size_t count;
    struct attempt *attempts; /* owned */
};

/* With the gate closed: notes what there is to build when `from` moves to `to`. */
int trial_note(struct trial *trial, const struct device *from, struct device *to,
               struct object *const *objects, size_t count, struct error *err);
/* Inside the gate: builds it all and lets it go again. err names the first that can't be built;
 * with `findings` (may be NULL) all of them are put there, and the result is 0. */
int trial_run(struct trial *trial, struct findings *findings, struct error *err);
void trial_finish(struct trial *trial);

#endif
