/* SPDX-License-Identifier: Apache-2.0 */
/* Where the program's devices live: on the devices that they were made for, or after a move on
 * others. Says whether another device will do, before anything is let go. */
#ifndef SHADOWCL_SHIM_PLACEMENT_H
#define SHADOWCL_SHIM_PLACEMENT_H

#include "shim/checkpoint.h"

/* Suspended: places the devices as the SPECs say (empty: where they were last), checks that each
 * can do what the program's objects use (strict: all that it was told). Nothing changes on an
 * error. */
int placement_choose(const char *specs, bool strict, struct object *const *objects, size_t count,
                     struct report *report, struct error *err);
/* Puts the devices back to where they were before the last placement_choose. */
void placement_undo(struct object *const *objects, size_t count);
/* Running: the same question, asked of the live drivers; nothing changes. */
int placement_check(const char *specs, bool strict, struct report *report, struct error *err);

#endif
