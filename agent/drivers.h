/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers that `run` is told of: are they there, and are they any? */
#ifndef SHADOWCL_AGENT_DRIVERS_H
#define SHADOWCL_AGENT_DRIVERS_H

#include "shim/error.h"

/* `list` as SHADOWCL_DRIVERS has it: folders of .icd files, such files, and libraries, separated by
 * colons; NULL or empty: none. Fails where none of them is one, and notes the others. Each, and
 * each that a folder names, is loaded for that, in a process of its own, but not started: whether
 * it finds its device shows later. */
int drivers_check(const char *list, struct error *err);

#endif
