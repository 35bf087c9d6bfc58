/* SPDX-License-Identifier: Apache-2.0 */
/* A driver's functions: see driver_table.h. */
#include "shim/driver_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/icd.h"
#include "shim/phase.h"
#include "state/query.h"

#define VERSION_1_0 100
#define VERSION_1_1 110
#define VERSION_1_2 120
#define VERSION_2_0 200
#define VERSION_2_1 210
#define VERSION_2_2 220
#define VERSION_3_0 300

/* 120, 200, 300, …; 0: what it says is none. */
static unsigned version_of(cl_platform_id id)
{
    char text[128] = "";
    unsigned major = 0, minor = 0;
    CALL(driver_calls(id)->clGetPlatformInfo(id, CL_PLATFORM_VERSION, sizeof text, text, NULL));
    return sscanf(text, "OpenCL %u.%u", &major, &minor) == 2 ? major * 100 + minor * 10 : 0;
}

/* Entries beyond the driver's version must not even be looked at: its table may end before them. */
void driver_fill(struct driver *driver, cl_platform_id id)
{
    const cl_icd_dispatch *table = driver_calls(id);
    unsigned version = version_of(id);
    if (!driver->told)
        driver->told = version;
    if (version > driver->told)
        version = driver->told;
#define X(since, call) driver->call = version >= VERSION_##since ? table->call : NULL;
    CALLS(X)
#undef X
    driver->platform = id;
    driver->version = version;
}

void driver_empty(struct driver *driver)
{
#define X(since, call) driver->call = NULL;
    CALLS(X)
#undef X
    driver->platform = NULL;
}

void *driver_extension(const struct driver *driver, const char *name)
{
    if (!driver->clGetExtensionFunctionAddressForPlatform)
        return NULL;
    return driver->clGetExtensionFunctionAddressForPlatform(driver->platform, name);
}

/* Loaders take a platform only where it says that it is made for them. */
static bool is_for_loaders(const struct driver *driver)
{
    struct reply reply;
    if (icd_assume_extension())
        return true;
    if (query_platform(driver, CL_PLATFORM_EXTENSIONS, &reply) != CL_SUCCESS)
        return false;
    bool found = strstr(reply.bytes, "cl_khr_icd") != NULL;
    free(reply.bytes);
    return found;
}

int driver_check(const struct driver *driver, struct error *err)
{
    if (!driver->version) {
        error_set(err, 0, "its platform does not tell its version of OpenCL");
        return error_todo(err, "see what it says without shadowcl (`clinfo`)");
    }
    if (driver->version < VERSION_1_2) {
        error_set(err, 0, "it has OpenCL %u.%u only, shadowcl needs 1.2", driver->version / 100,
                  driver->version / 10 % 10);
        return error_todo(err, "take another driver");
    }
    if (is_for_loaders(driver))
        return 0;
    error_set(err, 0, "its platform does not report cl_khr_icd");
    return error_todo(err, "set OCL_ICD_ASSUME_ICD_EXTENSION=1 to take it all the same");
}
