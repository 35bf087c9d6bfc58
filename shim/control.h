/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket, `<pid>-<random>.sock` in the runtime directory, and the thread behind it: one
 * request, one answer per connection (serialize/control.proto). */
#ifndef SHADOWCL_SHIM_CONTROL_H
#define SHADOWCL_SHIM_CONTROL_H

/* Starts the thread, once per process (again in a forked child). Without a usable runtime directory
 * the program runs all the same, and the log says why it can't be suspended. */
void control_start(void);
void control_forked(void);

#endif
