/* SPDX-License-Identifier: Apache-2.0 */
/* A testing aid: SHADOWCL_STORM=N[,SEED] has the process suspend and resume itself, on average at
 * every N-th call that passes the gate, from whichever thread is there. A program under storm must
 * do what it does natively. */
#ifndef SHADOWCL_SHIM_STORM_H
#define SHADOWCL_SHIM_STORM_H

#include <stdbool.h>

void storm_init(void);
/* The program ends: no cycles any more. */
void storm_end(void);
/* Is it this call's turn? */
bool storm_strikes(void);
/* Requests a cycle and waits for its end. The caller is outside of the gate. A resume that fails is
 * tried again, and counts as refused; the process is ended if it fails again and again. */
void storm_cycle(void);
void storm_forked(void);

#endif
