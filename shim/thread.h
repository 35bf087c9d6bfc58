/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the shim in the program's process. */
#ifndef SHADOWCL_SHIM_THREAD_H
#define SHADOWCL_SHIM_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

/* All with all signals blocked: the program's handlers run on its own threads. To be joined: */
bool thread_create(pthread_t *thread, void *(*run)(void *), void *data);
/* Detached: */
bool thread_start(void *(*run)(void *), void *data);
/* Is it one of these? (Of very many at once, not all are known.) */
bool thread_is_ours(pid_t tid);
void thread_forked(void);

/* How many threads to share so many pieces of work: one for each processor, `most` at most, and one
 * at least. */
unsigned thread_count(size_t pieces, unsigned most);

#endif
