/* SPDX-License-Identifier: Apache-2.0 */
/* Loading the drivers again, and making every object again. */
#ifndef SHADOWCL_SHIM_REBUILD_H
#define SHADOWCL_SHIM_REBUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "shim/error.h"
#include "shim/report.h"
#include "state/object.h"

/* Where to: as in struct resume_wish. */
struct rebuild_wish {
    const char *device; /* NULL: where they were, without a question */
    bool strict, lazy;
};

/* On an error, one that is a driver that hangs among them, everything is let go again and the
 * devices are where they were. */
int rebuild_all(const struct rebuild_wish *wish, struct object *const *objects, size_t count,
                struct report *report, struct error *err);

#endif
