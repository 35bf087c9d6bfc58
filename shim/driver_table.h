/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a driver's functions (state/driver.h), from that of a platform's handle. */
#ifndef SHADOWCL_SHIM_DRIVER_TABLE_H
#define SHADOWCL_SHIM_DRIVER_TABLE_H

#include "shim/error.h"
#include "state/driver.h"

/* cl_khr_icd: a handle begins with the driver's table. */
static inline const cl_icd_dispatch *driver_calls(cl_platform_id id)
{
    return *(const cl_icd_dispatch *const *)id;
}

/* Takes what its version has, and what the one of the first start had: another library may have
 * come in its place. Asks the driver for the version. */
void driver_fill(struct driver *driver, cl_platform_id id);
/* Its versions stay. */
void driver_empty(struct driver *driver);
/* Is it one that a loader takes, and that we can do with? Says why not, and what to do. */
int driver_check(const struct driver *driver, struct error *err);

#endif
