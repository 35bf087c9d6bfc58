/* SPDX-License-Identifier: Apache-2.0 */
/* The application's callbacks run on a thread of ours, in the order in which they were posted: the
 * driver's callback only posts. So the drain never waits for the application's code, and what has
 * not run yet travels along. */
#ifndef SHADOWCL_SHIM_CALLBACK_H
#define SHADOWCL_SHIM_CALLBACK_H

#include <stdbool.h>

/* Something to run; lies in the memory of whoever posts it and is its own when it runs (`run` frees
 * it). */
struct post {
    struct post *next;
    void (*run)(struct post *post);
};

/* Makes sure that the thread is there; false when it can't be started. To be called when a callback
 * is registered, where the failure can be told to the application. */
bool callback_prepare(void);
/* From any thread, never blocks for long, never fails. */
void callback_post(struct post *post);
void callback_forked(void);

#endif
