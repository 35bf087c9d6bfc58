/* SPDX-License-Identifier: Apache-2.0 */
/* Would a suspend be refused? Asked while the program runs, of all that it has. */
#ifndef SHADOWCL_SHIM_SURVEY_H
#define SHADOWCL_SHIM_SURVEY_H

#include <stdint.h>

#include "shim/findings.h"

/* Puts what can't be carried, and what else of the program's would refuse a suspend, into
 * `findings`; nothing changes. The gate is closed for the look, at the latest at the deadline
 * (CLOCK_MONOTONIC, ns): a call that goes on for longer is an error. */
int survey_suspend(int64_t deadline, struct findings *findings, struct error *err);

#endif
