/* SPDX-License-Identifier: Apache-2.0 */
/* The program's signal handlers: see handlers.h. */
#include "shim/handlers.h"

#include <link.h>
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
            now.sa_handler == SIG_IGN || in_executable(now.sa_handler))
            continue;
        sigaction(number, before, NULL);
    }
}
