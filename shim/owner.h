/* SPDX-License-Identifier: Apache-2.0 */
/* Who alone may change this process's state: a request, a thread that forks, or the one that ends
 * the program. A fork, and the end of the program, wait for a suspend or resume that is in
 * progress: the child would have half of one, and drivers' destructors would run under it. From the
 * call of `exit` on requests are refused, but for a resume: exit handlers of the program may wait
 * for a thread that waits at the gate. After our own exit handler it is refused too, unless the
 * ending thread waits for it. A thread that is inside the gate does not wait: it may be waited for.
 */
#ifndef SHADOWCL_SHIM_OWNER_H
#define SHADOWCL_SHIM_OWNER_H

#include <stdbool.h>

/* For a request: waits for a fork, which is short, and lets one that waits already go first; false
 * when there is another request, or the program is just ending. */
bool owner_take(void);
bool owner_take_to_resume(void); /* also when it has begun to end */
void owner_give_back(void);
/* By the owner, while the program runs and none of its threads of ours has anything in hand that a
 * fork would tear: forks go by, and other requests are refused as before. The end of the program
 * waits until the owner is given back: owner_is_ending says that it does. */
void owner_lend(void);
void owner_take_back(void);
/* The same, for those that wait just now. */
void owner_let_forks_by(void);

/* A suspended program that ends may yet make a call, in a destructor, and is stuck there: then that
 * thread can't unload the drivers at the same time. Returned, and whether it is to be stuck further
 * on. */
bool owner_take_from_end(void);
void owner_return_to_end(bool waits);

void owner_before_fork(void);
void owner_after_fork(void); /* in the parent */
bool owner_forked(void);     /* in the child; whether the fork had waited */
/* Before all exit handlers, and in ours. */
void owner_end_begins(void);
void owner_before_exit(void);
/* Has the end begun? What need not be done is then left. */
bool owner_is_ending(void);
/* Does a fork, or the end of the program, wait now? */
bool owner_is_awaited(void);
/* Said by a thread that begins or ends to wait at the closed gate. */
void owner_waits_at_gate(bool waits);

#endif
