/* SPDX-License-Identifier: Apache-2.0 */
/* Freezing a thread that a driver's call does not come back to: it stays for ever where it is, so
 * that what it was given can be taken away, and it never comes back into our structures. */
#ifndef SHADOWCL_SHIM_FREEZE_H
#define SHADOWCL_SHIM_FREEZE_H

#include "shim/phase.h"

/* False: it can't be frozen there. It has shown a sign of life since phase->silent was read, it is
 * in our own code, it does not take the signal (the kernel does not come back to it either, or the
 * driver blocks it), or it has a lock that all need: the allocator's, or the dynamic loader's. It
 * goes on as if nothing had happened, and may be tried again. */
bool freeze(struct phase *phase);
/* It goes on after all. */
void thaw(struct phase *phase);

#endif
