/* SPDX-License-Identifier: Apache-2.0 */
/* A signal that the program does not use, to interrupt a driver's threads with. */
#ifndef SHADOWCL_SHIM_SPARE_SIGNAL_H
#define SHADOWCL_SHIM_SPARE_SIGNAL_H

#include <signal.h>
#include <sys/types.h>

/* A few real-time signals to let in on a thread that drivers make theirs from. One that the program
 * blocks is used, though it has no handler: it waits for it (sigwait, signalfd, timers), and a
 * thread that lets it in would meet its default action, the program's end. */
void spare_signals(sigset_t *set);
/* One that the thread lets in and that has no handler: by what was said, the program can't be using
 * it. 0: there is none. *before: what is done at it now. */
int spare_signal_of(pid_t tid, struct sigaction *before);

/* What was done at it before, unless the program has taken it meanwhile: nothing but `handler` is
 * replaced. One that is still on its way to a thread is discarded: it must not meet SIG_DFL. */
void spare_signal_put_back(int number, void (*handler)(int), const struct sigaction *before);

#endif
