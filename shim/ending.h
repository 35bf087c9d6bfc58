/* SPDX-License-Identifier: Apache-2.0 */
/* The ends of unmaps that the driver has been given and that may fail (OpenCL 3.0 §5.5.2, §5.11):
 * the region of one that was carried out goes, that of another is mapped again. */
#ifndef SHADOWCL_SHIM_ENDING_H
#define SHADOWCL_SHIM_ENDING_H

#include "shim/drain.h"
#include "state/mem.h"

/* The mapping, whose `mem` and `generation` say what of, is no more the caller's. */
void ending_watch(const struct driver *driver, cl_event real, struct mapping *mapping);
/* With the gate closed and all commands ended: the regions of all that have been carried out are
 * gone, and those of the others are mapped again. Where a native kernel has enqueued more meanwhile
 * (gate_has_passed), not of all: drain again. -1 and `err` when the driver says to the end of the
 * patience that one has not ended. */
int endings_settle(const struct patience *patience, struct error *err);
void endings_forked(void);

#endif
