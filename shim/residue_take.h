/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a device node away from a driver that does not close it. */
#ifndef SHADOWCL_SHIM_RESIDUE_TAKE_H
#define SHADOWCL_SHIM_RESIDUE_TAKE_H

#include <signal.h>

#include "shim/residue.h"

struct report;

/* Puts a dummy in the place of a descriptor, or a reservation in that of a mapping, so that neither
 * number nor range is met by anybody else. It is inaccessible, or `usable`: memory, for threads
 * that may look there yet. Threads that sleep in a call on the descriptor keep the file open
 * unseen: they are interrupted once, and those that can't be are a warning. Returns whether it was
 * taken. */
bool node_take(const struct node *node, bool usable, struct report *report);

/* Threads that a driver makes inherit the signal mask of ours, which block everything: while a
 * driver starts, a signal that the program does not use is let through, so that node_take can
 * interrupt such a thread later. `before` is the mask to go back to. */
void node_let_signals_in(sigset_t *before);

/* Before anything is taken: a driver may let go in threads of its own, a moment after the release,
 * and be writing into its mappings till then. Looks again until nothing is left, or all other
 * threads of the process have been asleep for a few looks, 0.5 s at most (the program's own may be
 * busy all the time). `residue` is what is left then. */
int residue_settle(struct residue *residue, struct error *err);

#endif
