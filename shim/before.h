/* SPDX-License-Identifier: Apache-2.0 */
/* What a suspend does while the program runs on: it looks for what would be refused, sets memory
 * aside, and copies contents beforehand if that is wanted. */
#ifndef SHADOWCL_SHIM_BEFORE_H
#define SHADOWCL_SHIM_BEFORE_H

#include <stdbool.h>

#include "shim/error.h"
#include "shim/report.h"

/* `deadline`, in seconds, is for builds in progress; `let_go`: the device will be. What was begun
 * on an error is the caller's to undo. */
int before_closing(double deadline, bool let_go, const struct precopy_wish *wish,
                   const struct store_wish *image, struct report *report, struct error *err);

#endif
