/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that the program has dropped while the gate was closed. */
#ifndef SHADOWCL_SHIM_REAP_H
#define SHADOWCL_SHIM_REAP_H

/* As object_reap_late, after the gate has opened; where a driver does not come back from a release
 * it is waited for so long as a call may take, and no longer. */
void reap_late(void);

#endif
