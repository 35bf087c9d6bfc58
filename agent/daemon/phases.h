/* SPDX-License-Identifier: Apache-2.0 */
/* `progress` events: how far each process is, while a command is at work on it. */
#ifndef SHADOWCL_DAEMON_PHASES_H
#define SHADOWCL_DAEMON_PHASES_H

struct agent;

void phases_start(struct agent *agent);

#endif
