/* SPDX-License-Identifier: Apache-2.0 */
/* A program that starts while all others are suspended: its driver must not open the device. */
#ifndef SHADOWCL_SHIM_WAIT_H
#define SHADOWCL_SHIM_WAIT_H

/* Returns when no mark stands in the runtime directory: a file `suspended.UID`
 * (agent/daemon/mark.h) that root or this process's own user has put there. For the first call,
 * outside of the gate; the socket is there already, so that whoever marks first and then looks for
 * sockets misses nobody. */
void wait_for_resume(void);

#endif
