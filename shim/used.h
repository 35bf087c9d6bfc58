/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the program's devices are placed anew, and where: what the SPECs of a resume or move
 * mean. */
#ifndef SHADOWCL_SHIM_USED_H
#define SHADOWCL_SHIM_USED_H

#include "shim/report.h"
#include "state/device.h"

/* Root devices, in order of creation. */
struct used {
    size_t count;
    bool idle; /* nothing of the program's is on any device: those that it had, or knows */
    struct device **devices; /* owned, with room for all that there are */
    struct device **targets; /* owned */
};

/* Those in use. With `idle`, where there are none: those that the program had a context on, or
 * before its first context those that it was told of. */
int used_find(struct used *used, bool idle, struct object *const *objects, size_t count,
              struct error *err);
void used_finish(struct used *used);

/* One SPEC for each of them, in order; one SPEC alone will do for one device, and for all that are
 * idle. Empty: where they are. What is idle stays where it is, with a warning, where the SPECs
 * don't fit it. */
int used_aim(struct used *used, const char *specs, struct report *report, struct error *err);
/* Are the targets there, and each for one alone? */
int used_check(const struct used *used, struct error *err);

#endif
