/* SPDX-License-Identifier: Apache-2.0 */
/* Building programs again at a resume, several at once. Each thread of ours is watched like the
 * resume's own (shim/phase.h): a driver that hangs in one build stops the resume, and no more. */
#ifndef SHADOWCL_SHIM_BUILDS_H
#define SHADOWCL_SHIM_BUILDS_H

#include "shim/error.h"
#include "shim/phase.h"
#include "state/object.h"

#define BUILDS_THREADS 8 /* at most; the program stands still meanwhile */

/* Where drivers hang, which are not given up yet. */
struct builds_hung {
    unsigned count;
    struct phase_place places[BUILDS_THREADS];
};

/* Makes those programs that have to be built, where there are several and their drivers can do that
 * at once; *made (the caller's to free, NULL: of none) says for each object whether it was. On an
 * error, which is that of the first program, or in *hung, the threads have ended. */
int builds_make(struct object *const *objects, size_t count, bool **made, struct builds_hung *hung,
                struct error *err);

#endif
