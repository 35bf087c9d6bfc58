/* SPDX-License-Identifier: Apache-2.0 */
/* Unmaps that the driver has been given and that may fail (OpenCL 3.0 §5.5.2, §5.11). */
#ifndef SHADOWCL_SHIM_UNMAP_H
#define SHADOWCL_SHIM_UNMAP_H

#include "shim/drain.h"

/* With the gate closed and all commands ended: the regions of all that have been carried out are
 * gone, and those of the others are mapped again. Where a native kernel has enqueued more meanwhile
 * (gate_has_passed), not of all: drain again. -1 and `err` when the driver says to the end of the
 * patience that one has not ended. */
int unmap_settle(const struct patience *patience, struct error *err);
void unmap_forked(void);

#endif
