/* SPDX-License-Identifier: Apache-2.0 */
/* What other wrappers need of platforms. */
#ifndef SHADOWCL_SHIM_PLATFORM_H
#define SHADOWCL_SHIM_PLATFORM_H

#include "state/device.h"

/* The platform; for a NULL handle the default one, as the usual loaders have it. NULL: none
 * such. */
struct platform *platform_or_default(cl_platform_id handle);
/* §4.2: its devices of a type: an array for the caller to free, never empty on CL_SUCCESS. Passes
 * the gate at need. */
cl_int platform_devices(struct platform *platform, cl_device_type type, struct device ***devices,
                        cl_uint *count);

#endif
