/* SPDX-License-Identifier: Apache-2.0 */
/* The program's signal handlers: see handlers.h. */
#include "shim/handlers.h"

#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct handlers handlers_keep(void)
{
    struct handlers kept = {0};
    for (int number = 1; number < HANDLERS_KEPT; number++)
        sigaction(number, NULL, &kept.before[number]);
    return kept;
}

/* Of drivers, the latest: who began while one was in its place must not bring it back. */
static void (*_Atomic put_away[32])(int);

static bool is_put_away(void (*function)(int))
{
    for (size_t i = 0; i < sizeof put_away / sizeof *put_away; i++)
        if (atomic_load(&put_away[i]) == function)
            return true;
    return false;
}

static void note_put_away(void (*function)(int))
{
    static _Atomic unsigned next;
    if (!is_put_away(function))
        atomic_store(&put_away[atomic_fetch_add(&next, 1) % (sizeof put_away / sizeof *put_away)],
                     function);
}

struct search {
    uintptr_t address;
    bool found;
};

/* The executable comes first, and that alone is looked at. */
static int look_into(struct dl_phdr_info *info, size_t size, void *data)
{
    struct search *search = data;
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        search->found |= info->dlpi_phdr[i].p_type == PT_LOAD &&
                         search->address - info->dlpi_addr - info->dlpi_phdr[i].p_vaddr <
                             info->dlpi_phdr[i].p_memsz;
    return 1;
}

/* A function of the executable is no driver's handler. (dladdr takes the dynamic loader's lock,
 * which a thread that was left in a driver may have.) */
static bool in_executable(void (*function)(int))
{
    struct search search = {.address = (uintptr_t)function};
    dl_iterate_phdr(look_into, &search);
    return search.found;
}

void handlers_restore(const struct handlers *kept)
{
    for (int number = 1; number < HANDLERS_KEPT; number++) {
        const struct sigaction *before = &kept->before[number];
        struct sigaction now;
        if (before->sa_handler == SIG_DFL || sigaction(number, NULL, &now) != 0 ||
            now.sa_handler == before->sa_handler || now.sa_handler == SIG_DFL ||
            now.sa_handler == SIG_IGN || in_executable(now.sa_handler) ||
            is_put_away(before->sa_handler))
            continue;
        note_put_away(now.sa_handler);
        sigaction(number, before, NULL);
    }
}
