/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime directory and the listening socket in it. */
#ifndef SHADOWCL_SHIM_CONTROL_SOCKET_H
#define SHADOWCL_SHIM_CONTROL_SOCKET_H

#include "shim/error.h"

/* A listening socket of mode 0600 in the runtime directory: $SHADOWCL_RUNTIME_DIR, else
 * /run/shadowcl, else $XDG_RUNTIME_DIR/shadowcl. The directory must not be a link, and belong to us
 * or root. `preferred`, where given and usable, comes before all of them. */
int control_listen(const char *preferred, struct error *err);
/* Takes the name away again, in the process that made it. */
void control_unlink(void);
/* The runtime directory, or NULL where there is none to trust. */
const char *control_directory(void);
/* May the peer ask: the same user, or root? */
int control_peer_allowed(int connection);

#endif
