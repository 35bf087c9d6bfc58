/* SPDX-License-Identifier: Apache-2.0 */
/* The program's signal handlers: see handlers.h. */
#include "shim/handlers.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/auxv.h>

struct handlers handlers_keep(void)
{
    struct handlers kept = {0};
    for (int number = 1; number < HANDLERS_KEPT; number++)
        sigaction(number, NULL, &kept.before[number]);
    return kept;
}

/* A function of the executable is no driver's handler. */
static bool in_executable(void (*function)(int))
{
    Dl_info entry, info;
    if (!dladdr((void *)getauxval(AT_ENTRY), &entry))
        return false;
    __extension__ const void *address = (const void *)function;
    return dladdr(address, &info) && info.dli_fbase == entry.dli_fbase;
}

void handlers_restore(const struct handlers *kept)
{
    for (int number = 1; number < HANDLERS_KEPT; number++) {
        const struct sigaction *before = &kept->before[number];
        struct sigaction now;
        if (before->sa_handler == SIG_DFL || sigaction(number, NULL, &now) != 0 ||
            now.sa_handler == before->sa_handler || now.sa_handler == SIG_DFL ||
            now.sa_handler == SIG_IGN || in_executable(now.sa_handler))
            continue;
        sigaction(number, before, NULL);
    }
}
