/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is free goes back to the system while a program is suspended. */
#ifndef SHADOWCL_SHIM_TRIM_H
#define SHADOWCL_SHIM_TRIM_H

/* Nobody should be waiting for it: with pocl it takes tens of milliseconds. */
void trim_memory(void);

#endif
