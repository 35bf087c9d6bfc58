/* SPDX-License-Identifier: Apache-2.0 */
/* Processes suspended as one: all of them, or none. */
#ifndef SHADOWCL_AGENT_TOGETHER_H
#define SHADOWCL_AGENT_TOGETHER_H

#include "agent/report.h"

/* NULL when none has failed. */
const struct report *together_first_failed(const struct report *list, size_t count);
/* Some of them can't even be asked: nobody is. */
void together_refuse(struct report *list, size_t count);
/* Resumes those that the last ask_suspend has suspended, and says so in their reports: because of
 * `culprit` ("process 12", "hook `10-unbind`"). -1 without memory: nobody was resumed. */
int together_undo(struct report *list, size_t count, const char *culprit);

#endif
