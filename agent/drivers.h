/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers that `run` is told of: are they there at all? */
#ifndef SHADOWCL_AGENT_DRIVERS_H
#define SHADOWCL_AGENT_DRIVERS_H

#include "shim/error.h"

/* `list` as SHADOWCL_DRIVERS has it: folders of .icd files, such files, and libraries, separated by
 * colons; NULL or empty: none. Fails where none of them can be one, and notes the others; names
 * without a folder are for the dynamic loader to find. */
int drivers_check(const char *list, struct error *err);

#endif
