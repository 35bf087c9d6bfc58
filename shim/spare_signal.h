/* SPDX-License-Identifier: Apache-2.0 */
/* A signal that the program does not use, to interrupt a driver's threads with. */
#ifndef SHADOWCL_SHIM_SPARE_SIGNAL_H
#define SHADOWCL_SHIM_SPARE_SIGNAL_H

#include <signal.h>

/* The real-time signal to take, and what is done at it now; 0: there is none. One that is blocked
 * is used all the same, though it has no handler: the program waits for it (sigwait, signalfd,
 * timers), and a thread that lets it in would meet its default action, the program's end. */
int spare_signal(struct sigaction *before);

#endif
