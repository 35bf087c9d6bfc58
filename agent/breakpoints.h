/* SPDX-License-Identifier: Apache-2.0 */
/* Hardware breakpoints, by which CRIU notices that a process has come to the end of what CRIU had
 * it do. Some hypervisors don't carry them out: the process runs on past them, and CRIU before 4.2
 * waits for ever. */
#ifndef SHADOWCL_AGENT_BREAKPOINTS_H
#define SHADOWCL_AGENT_BREAKPOINTS_H

#include <stdbool.h>

/* Is a process stopped by one here? Also true where that can't be tried. */
bool breakpoints_work(void);

#endif
