/* SPDX-License-Identifier: Apache-2.0 */
/* Can another device have an image: its format, for what it is used, and its size? */
#ifndef SHADOWCL_SHIM_COMPATIBLE_IMAGE_H
#define SHADOWCL_SHIM_COMPATIBLE_IMAGE_H

#include "shim/phase.h"
#include "state/mem.h"

/* The other device, with a context of its own made at the first image (formats are asked of one).
 */
struct image_target {
    const struct driver *driver;
    cl_device_id device;
    struct asked_context *asked; /* owned; NULL: not yet */
    bool unsure;                 /* something that was asked was not answered */
};

/* On a difference, err says what is missing (the caller names the image). */
int image_target_check(struct image_target *target, const struct mem *mem, struct error *err);
void image_target_finish(struct image_target *target);
/* A thread has been left in a call of the above (a `clean` of shim/leave.h). */
void image_target_leave(void *unused, struct leftover **leftovers);

#endif
