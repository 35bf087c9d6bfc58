/* SPDX-License-Identifier: Apache-2.0 */
/* Loading and unloading a driver's library. Its constructors and destructors run with the dynamic
 * loader's lock held: a thread that they don't come back to is left there (shim/phase.h), and until
 * they have, nothing in the process can be loaded or unloaded. Who tried would wait for them. */
#ifndef SHADOWCL_SHIM_LINKING_H
#define SHADOWCL_SHIM_LINKING_H

#include <stdbool.h>

#include "shim/error.h"
#include "shim/phase.h"

/* A call that runs these: dlopen, dlmopen or dlclose. */
#define LINKING(library, how, call)                                                                \
    ({                                                                                             \
        IN_DRIVER_AT(((struct phase_place){(library), NULL, false, 0, (how)}));                    \
        CALL(({                                                                                    \
            linking_begin((library), (how));                                                       \
            __auto_type linked = (call);                                                           \
            linking_end();                                                                         \
            linked;                                                                                \
        }));                                                                                       \
    })

void linking_begin(struct library *library, enum phase_linking how);
void linking_end(void);

/* For who is not in such a call: is a thread that was left in one there yet? */
bool linking_is_stuck(void);
/* Refuses then, by name. */
int linking_refuse(struct error *err);
void linking_forked(void);

/* "has not come back from its constructors, in `dlopen`," */
const char *linking_describe(enum phase_linking how);

#endif
