/* SPDX-License-Identifier: Apache-2.0 */
/* Drivers that could not be had: see skipped.h. */
#include "shim/skipped.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "shim/config.h"
#include "shim/log.h"

enum { MOST = 16 };

static const char *named[MOST]; /* owned; as many as are counted are there to be read */
static atomic_size_t num_named;

static void keep(const char *line)
{
    size_t count = atomic_load_explicit(&num_named, memory_order_relaxed);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(named[i], line)) /* a fork came in the first start: the child begins anew */
            return;
    if (count == MOST || !(named[count] = strdup(line)))
        return;
    atomic_store_explicit(&num_named, count + 1, memory_order_release);
}

void skipped_add(const struct error *err)
{
    char line[sizeof *err + 32];
    const char *setting = config_text("SHADOWCL_DRIVERS");
    snprintf(line, sizeof line, "%s%s%s; skipped; to do: %s", err->object,
             err->object[0] ? ": " : "", err->reason, err->todo);
    if (!setting || !*setting) {
        log_warn("%s", line);
        return;
    }
    log_error("%s", line);
    keep(line);
}

size_t skipped_named(const char *const **lines)
{
    *lines = named;
    return atomic_load_explicit(&num_named, memory_order_acquire);
}
