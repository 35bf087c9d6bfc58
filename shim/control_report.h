/* SPDX-License-Identifier: Apache-2.0 */
/* What has come of a request, as the message that answers it. Every part of that is on the heap, so
 * that protobuf-c's own free releases it. */
#ifndef SHADOWCL_SHIM_CONTROL_REPORT_H
#define SHADOWCL_SHIM_CONTROL_REPORT_H

#include "control.pb-c.h"
#include "shim/findings.h"
#include "shim/report.h"

enum { CONTROL_PROTOCOL = 2 }; /* since 2 a check may be of a suspend */

/* Empty yet; NULL without memory. */
Shadowcl__Control__Response *control_report_create(void);
/* How the process is now, and what the report and the findings say. The report's warnings go over
 * to it. What there is no memory for is missing. */
void control_report_fill(Shadowcl__Control__Response *answer,
                         const Shadowcl__Control__Request *request, struct report *report,
                         const struct findings *findings);
/* NULL without memory. */
Shadowcl__Control__Failure *control_failure(const struct error *err);
/* The process's command, as /proc has it: at most 4 KiB, arguments joined by blanks; the caller's.
 * NULL without memory. */
char *control_command(void);

#endif
