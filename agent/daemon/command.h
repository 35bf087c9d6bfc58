/* SPDX-License-Identifier: Apache-2.0 */
/* From a message to what is done about it. */
#ifndef SHADOWCL_DAEMON_COMMAND_H
#define SHADOWCL_DAEMON_COMMAND_H

#include "agent/daemon/job.h"

/* Answers at once, or starts what will. */
void command_take(struct agent *agent, uint64_t channel, json_t *message);

/* What runs on a thread. */
void status_run(struct job *job);
void prepare_run(struct job *job);
void suspend_run(struct job *job);
void resume_run(struct job *job);
/* On the loop, by a timer. */
void device_wait_start(struct job *job);

/* An agent died while suspending: all that are suspended go on. */
void command_recover(struct agent *agent);

#endif
