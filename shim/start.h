/* SPDX-License-Identifier: Apache-2.0 */
/* What happens once per process, at its first OpenCL call. */
#ifndef SHADOWCL_SHIM_START_H
#define SHADOWCL_SHIM_START_H

#include <stdbool.h>

/* Settings, log, band, gate, fork handlers, the control thread. False when not even the smallest
 * band could be reserved: then there are no platforms. Idempotent; thread-safe. */
bool start_shim(void);

/* Were we loaded by somebody else's loader, as an ICD? Set by clIcdGetPlatformIDsKHR. */
extern bool start_icd_mode;

/* Set before the first start by a process of our own, which has no program to suspend: it is found
 * by nobody, and waits for nobody. */
extern bool start_alone;

#endif
