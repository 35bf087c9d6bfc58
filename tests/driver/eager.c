/* SPDX-License-Identifier: Apache-2.0 */
/* A vendor's habit that loaders have to survive: while it starts, the driver asks the program's own
 * loader for platforms, as one does that looks for others of its kind. What it was told goes to the
 * file that SHADOWCL_TEST_EAGER names. */
#include "tests/driver/driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef cl_int get_platforms(cl_uint, cl_platform_id *, cl_uint *);

void eager_ask(const char *when)
{
    /* Not the driver's own function of that name, but the program's. */
    get_platforms *ask;
    *(void **)&ask = dlsym(RTLD_DEFAULT, "clGetPlatformIDs");
    const char *path = getenv("SHADOWCL_TEST_EAGER");
    FILE *file = ask && path ? fopen(path, "ae") : NULL;
    cl_uint count = 0;
    if (!file)
        return;
    fprintf(file, "%s asks\n", when);
    fflush(file);
    cl_int err = ask(0, NULL, &count);
    fprintf(file, "%s: %d, %u platforms\n", when, err, count);
    fclose(file);
}

__attribute__((constructor)) static void ask_at_once(void)
{
    eager_ask("constructor");
}
