/* SPDX-License-Identifier: Apache-2.0 */
/* Builds for another device on threads of ours while the program runs. A suspend, and the program's
 * end, have them stop after the programs that are just being built, before any gate is closed; a
 * fork waits for those too. */
#ifndef SHADOWCL_SHIM_AHEAD_H
#define SHADOWCL_SHIM_AHEAD_H

#include "shim/report.h"
#include "shim/trial.h"

/* One at a time; the caller alone may change the state of the program at that moment (see
 * checkpoint.c), and need not stay the only one until ahead_end. */
int ahead_begin(struct error *err);
/* Builds all that was noted; fails where it was stopped. How it went is told by trial_tell. */
int ahead_run(struct trial *trial, struct error *err);
/* The same, and goes on after a program that can't be built: the first such is the error, the
 * others are warnings. */
int ahead_run_all(struct trial *trial, struct report *report, struct error *err);
void ahead_end(void);
/* Returns once nothing is being built; fails after so many seconds. */
int ahead_stop(double patience, struct error *err);

/* Waits for them, and nobody may begin any more. */
void ahead_before_exit(void);
void ahead_before_fork(void);
void ahead_after_fork(void); /* in the parent */
void ahead_forked(void);     /* in the child */

#endif
