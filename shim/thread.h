/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the shim in the program's process. */
#ifndef SHADOWCL_SHIM_THREAD_H
#define SHADOWCL_SHIM_THREAD_H

#include <stdbool.h>

/* Detached, and with all signals blocked: the program's handlers run on its own threads. */
bool thread_start(void *(*run)(void *), void *data);

#endif
