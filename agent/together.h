/* SPDX-License-Identifier: Apache-2.0 */
/* Processes suspended as one: all of them, or none. */
#ifndef SHADOWCL_AGENT_TOGETHER_H
#define SHADOWCL_AGENT_TOGETHER_H

#include "agent/report.h"

/* NULL when none has failed. */
const struct report *together_first_failed(const struct report *list, size_t count);
/* Some of them can't even be asked: nobody is. */
void together_refuse(struct report *list, size_t count);
/* Asked, without an answer, and not known to run, to be suspended or to have ended: what it was
 * asked may still be going on. */
bool together_is_open(const struct report *report);
/* Asks those that are open for their states until none is, at most `seconds`. */
void together_settle(struct report *list, size_t count, double seconds);
/* Resumes those that the last ask_suspend has suspended, and says so in their reports: because of
 * `culprit` ("process 12", "hook `10-unbind`"). Those that are open are waited for, and resumed
 * when they turn out to be suspended. -1 without memory: nobody was resumed. */
int together_undo(struct report *list, size_t count, double settle_time, const char *culprit);

#endif
