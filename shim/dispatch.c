/* SPDX-License-Identifier: Apache-2.0 */
/* Our dispatch table, and the look-up of functions by name: only what we wrap is found, and of
 * extensions only what a driver has. */
#include "shim/dispatch.h"

#include <string.h>

#include "shim/export.h"
#include "shim/gate.h"
#include "shim/loader.h"
#include "state/command_buffer.h"

/* Direct3D's entries stay NULL. */
const cl_icd_dispatch dispatch_table = {
#define X(since, call) .call = call,
    CALLS(X)
#undef X
};

/* Extensions' functions that are not in the table above: X(name, core): a driver of a later version
 * may have the core call of the same meaning instead. */
#define EXTENSION_CALLS(X)                                                                         \
    X(clCreateProgramWithILKHR, clCreateProgramWithIL)                                             \
    X(clCreateCommandQueueWithPropertiesKHR, clCreateCommandQueueWithProperties)
/* The same, without a core call of that meaning. */
#define EXTENSION_ONLY_CALLS(X) X(clGetKernelSuggestedLocalWorkSizeKHR)

static const struct entry {
    const char *name;
    void (*function)(void);
    size_t core; /* of the core call in struct driver; 0: there is none */
} entries[] = {
#define X(since, call) {#call, (void (*)(void))call, 0},
    CALLS(X)
#undef X
#define X(call, core) {#call, (void (*)(void))call, offsetof(struct driver, core)},
        EXTENSION_CALLS(X)
#undef X
#define X(call) {#call, (void (*)(void))call, 0},
            EXTENSION_ONLY_CALLS(X)
#undef X
#define X(call) {#call, (void (*)(void))call, 0},
                COMMAND_BUFFER_CALLS(X)
#undef X
                    {"clIcdGetPlatformIDsKHR", (void (*)(void))clIcdGetPlatformIDsKHR, 0},
};

static const struct entry *find(const char *name)
{
    for (size_t i = 0; name && i < sizeof entries / sizeof *entries; i++)
        if (!strcmp(entries[i].name, name))
            return &entries[i];
    return NULL;
}

void *dispatch_function(const char *name)
{
    const struct entry *entry = find(name);
    return entry ? (void *)entry->function : NULL;
}

/* Core calls, and our own as an ICD, are always there; an extension's only where a driver has it.
 */
static bool is_core(const char *name)
{
    const char *end = name + strlen(name) - 3;
    return !strcmp(name, "clIcdGetPlatformIDsKHR") ||
           (strcmp(end, "KHR") != 0 && strcmp(end, "EXT") != 0 && !strstr(name, "GL"));
}

static bool is_command_buffer(const char *name)
{
    return strstr(name, "CommandBuffer") || !strncmp(name, "clCommand", strlen("clCommand"));
}

/* Inside the gate. */
static bool driver_has(const struct driver *driver, const struct entry *entry)
{
    void *core = NULL;
    if (entry->core)
        memcpy(&core, (const char *)driver + entry->core, sizeof core);
    if (is_command_buffer(entry->name) && !command_buffer_usable(driver))
        return false;
    return core || driver_extension(driver, entry->name);
}

/* For a NULL platform: any of them. */
static void *find_for(struct platform *platform, const char *name)
{
    const struct entry *entry = find(name);
    cl_uint count = 0;
    if (!entry || is_core(name))
        return entry ? (void *)entry->function : NULL;
    GATE(clGetExtensionFunctionAddressForPlatform);
    struct platform **all = loader_platforms(&count);
    for (cl_uint i = 0; i < count; i++)
        if ((!platform || all[i] == platform) && driver_has(all[i]->object.driver, entry))
            return (void *)entry->function;
    return NULL;
}

EXPORT void *CL_API_CALL clGetExtensionFunctionAddressForPlatform(cl_platform_id platform,
                                                                  const char *func_name)
{
    struct platform *shadow = platform_check(platform);
    return shadow ? find_for(shadow, func_name) : NULL;
}

EXPORT void *CL_API_CALL clGetExtensionFunctionAddress(const char *func_name)
{
    if (func_name && strcmp(func_name, "clIcdGetPlatformIDsKHR") != 0)
        loader_start();
    return find_for(NULL, func_name);
}
