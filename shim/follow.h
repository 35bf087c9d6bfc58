/* SPDX-License-Identifier: Apache-2.0 */
/* A child that was forked while its parent was suspended is suspended too, and nobody knows of it
 * before it makes a call: whoever resumes the parent can't resume the child. So it goes on by
 * itself, where its parent went on, as soon as it needs to and the parent runs. They share a page,
 * made by the fork, in which the parent says whether it is suspended. */
#ifndef SHADOWCL_SHIM_FOLLOW_H
#define SHADOWCL_SHIM_FOLLOW_H

/* Of a process, for the children that it has. Told when a suspend begins, and when the process runs
 * again; `device`: as it was told itself, empty or NULL where that is not another. */
void follow_tell_suspended(void);
void follow_tell_running(const char *device);

/* Of such a child: a thread waits at the closed gate. Resumed by others, it follows nobody. */
void follow_at_gate(void);

void follow_before_fork(void); /* by the owner (shim/owner.h) */
void follow_forked(void);

#endif
