/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket, `<pid>-<random>.sock` in the runtime directory, and the thread behind it: one
 * request, one answer per connection (serialize/control.proto). */
#ifndef SHADOWCL_SHIM_CONTROL_H
#define SHADOWCL_SHIM_CONTROL_H

#include "shim/error.h"

/* Starts the thread, once per process (again in a forked child). Without a usable runtime directory
 * the program runs all the same, and the log says why it can't be suspended. */
void control_start(void);
/* For a copy by CRIU: from here on the process has no socket and holds no log file open, and waits
 * at a pipe until it is told to listen again (shim/wake.h). Called by a request's thread, which
 * still has its connection. */
int control_leave(struct error *err);
void control_forked(void);

#endif
