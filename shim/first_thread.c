/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the program's first thread: see first_thread.h. */
#include "shim/first_thread.h"

#include <stdbool.h>
#include <stddef.h>

#include "shim/checkpoint.h"

/* Of the C library, for thread_local objects of C++; there is no header. */
int __cxa_thread_atexit_impl(void (*destroy)(void *), void *object, void *library);
extern void *__dso_handle __attribute__((visibility("hidden")));

static bool noted; /* the first thread's */

static void returns(void *unused)
{
    checkpoint_end_begins();
}

void first_thread_note(void)
{
    if (!noted)
        __cxa_thread_atexit_impl(returns, NULL, &__dso_handle);
    noted = true;
}
