/* SPDX-License-Identifier: Apache-2.0 */
/* What may call a driver with the gate open, for a request that does not wait for it for ever. */
#ifndef SHADOWCL_SHIM_BESIDE_H
#define SHADOWCL_SHIM_BESIDE_H

#include <stdbool.h>

/* Runs it on a thread of its own, and waits for its end so long as a driver may take for a call
 * (SHADOWCL_CALL_PATIENCE), and no longer. False: it goes on by itself. Where any patience is
 * endless, or there can't be a thread, it runs on this one. */
bool beside_run(void (*act)(void));

#endif
