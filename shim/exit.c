/* SPDX-License-Identifier: Apache-2.0 */
/* `exit` for the program: no exit handler runs before a suspend, resume or build in progress has
 * come to an end. A compiler registers handlers when its parts are first used, which may be in a
 * build of ours, or when we ask for a program's binary; they destroy what those parts have, and run
 * before ours, which was registered when the drivers were loaded. On the program's first thread
 * shim/first_thread.c has another way to be first. */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/checkpoint.h"
#include "shim/export.h"
#include "shim/first_thread.h"

typedef void exit_function(int status);

/* That thread need never make an OpenCL call. */
__attribute__((constructor)) static void note_first_thread(void)
{
    if (syscall(SYS_gettid) == getpid())
        first_thread_note();
}

EXPORT _Noreturn void exit(int status)
{
    exit_function *next = NULL;
    checkpoint_end_begins();
    *(void **)&next = dlsym(RTLD_NEXT, "exit");
    if (next)
        next(status);
    _exit(status);
}
