/* SPDX-License-Identifier: Apache-2.0 */
/* `exit` for the program: no exit handler runs before builds for another device have come to an
 * end. A compiler registers handlers while it builds, and they run before ours, which was
 * registered when the builds began; on the program's first thread shim/ahead.c has another way to
 * be first. */
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "shim/ahead.h"
#include "shim/cancel.h"
#include "shim/export.h"

typedef void exit_function(int status);

static void wait_for_builds(void)
{
    NOT_CANCELLED();
    ahead_before_exit();
}

EXPORT _Noreturn void exit(int status)
{
    exit_function *next = NULL;
    wait_for_builds();
    *(void **)&next = dlsym(RTLD_NEXT, "exit");
    if (next)
        next(status);
    _exit(status);
}
