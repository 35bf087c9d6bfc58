/* SPDX-License-Identifier: Apache-2.0 */
/* All that stands in the way of something, each with the object that it is about: for who only
 * asks, and wants to know more than the first. */
#ifndef SHADOWCL_SHIM_FINDINGS_H
#define SHADOWCL_SHIM_FINDINGS_H

#include <stddef.h>

#include "shim/error.h"

struct findings {
    size_t count;
    struct error *list; /* owned */
};

/* Adds what was found, and clears it so that the search can go on: 0. With `findings` NULL, the
 * first one is the end: -1, as without memory. */
int findings_take(struct findings *findings, struct error *err);
void findings_finish(struct findings *findings);

#endif
