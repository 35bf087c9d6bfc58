/* SPDX-License-Identifier: Apache-2.0 */
/* What a suspend and a resume consist of: close the gate, drain, capture, release; load, rebuild,
 * open the gate. Whoever calls these is the owner (shim/owner.h), and on a thread of ours. */
#ifndef SHADOWCL_SHIM_STEPS_H
#define SHADOWCL_SHIM_STEPS_H

#include "shim/checkpoint.h"

int steps_suspend(double deadline, const struct precopy_wish *wish, const struct store_wish *image,
                  struct report *report, struct error *err);
int steps_save(double deadline, const struct precopy_wish *wish, const struct store_wish *image,
               struct report *report, struct error *err);
int steps_resume(const struct resume_wish *wish, struct report *report, struct error *err);
/* Loads the drivers for what is suspended, compares, and lets them go again. */
int steps_check_suspended(const char *device, bool strict, struct findings *findings,
                          struct report *report, struct error *err);
/* -1: the state is not the one that is wanted. */
int steps_refuse(const char *wanted, const char *todo, struct error *err);
/* In a child that was forked while a request was in progress which is not its own. */
void steps_forked(void);

#endif
