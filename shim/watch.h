/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a suspend or resume in which a driver that hangs is given up. */
#ifndef SHADOWCL_SHIM_WATCH_H
#define SHADOWCL_SHIM_WATCH_H

#include <stdbool.h>

#include "shim/error.h"
#include "shim/phase.h"

/* Runs `act` on a thread of its own, with the gate closed, and returns what it does. When a call of
 * a driver never comes back (shim/phase.h): -1, *hung is set and err says which driver and where;
 * its instance is abandoned, and what gives back its objects does nothing from then on. Whatever
 * `act` had begun is left as it was at that call. */
int watched(int (*act)(void *data), void *data, bool *hung, struct error *err);
/* Which driver has not come back there: the object and the reason. */
void watch_describe(const struct phase_place *place, struct error *err);
/* The same for threads that phase_run has found to hang, once no other of ours is in a driver: -1,
 * with err as above for the first of them. */
int watch_give_up(const struct phase_place *places, unsigned count, struct error *err);

#endif
