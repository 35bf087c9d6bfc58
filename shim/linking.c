/* SPDX-License-Identifier: Apache-2.0 */
/* Whose constructors or destructors run: see linking.h. */
#include "shim/linking.h"

#include <stdatomic.h>
#include <stddef.h>

#include "shim/library.h"

static struct library *_Atomic busy; /* NULL: none */
static _Atomic int busy_how;         /* enum phase_linking */

void linking_begin(struct library *library, enum phase_linking how)
{
    atomic_store(&busy_how, how);
    atomic_store(&busy, library);
}

void linking_end(void)
{
    atomic_store(&busy, NULL);
}

bool linking_is_stuck(void)
{
    return atomic_load(&busy) != NULL;
}

const char *linking_describe(enum phase_linking how)
{
    return how == LINKING_IN ? "has not come back from its constructors, in `dlopen`,"
                             : "has not come back from its destructors, in `dlclose`,";
}

int linking_refuse(struct error *err)
{
    const struct library *library = atomic_load(&busy);
    if (!library)
        return 0;
    error_object(err, "driver `%s`", library_path(library));
    error_set(err, 0, "it %s and is in it yet: meanwhile no driver can be loaded",
              linking_describe((enum phase_linking)atomic_load(&busy_how)));
    return error_todo(err, "wait until that has come back, then try again; see whether the device "
                           "still works");
}

/* The C library has made the lock anew. */
void linking_forked(void)
{
    linking_end();
}
