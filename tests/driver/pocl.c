/* SPDX-License-Identifier: Apache-2.0 */
/* Loads pocl, which does the computing for us. It stays in the process for good: it can't be
 * unloaded anyway. */
#include "tests/driver/driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* pocl makes its devices once per process, so there are enough of them for a later start. */
#define MIN_POCL_DEVICES 4

const cl_icd_dispatch *pocl;
cl_platform_id pocl_platform;

static void *open_library(void)
{
    const char *name = getenv("SHADOWCL_TEST_POCL");
    char line[4096] = "";
    if (!name) {
        FILE *file = fopen("/etc/OpenCL/vendors/pocl.icd", "re");
        if (file) {
            if (fgets(line, sizeof line, file))
                line[strcspn(line, " \r\n")] = 0;
            fclose(file);
        }
        name = line;
    }
    void *library = *name ? dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) : NULL;
    return library ? library : dlopen("libpocl.so.2", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
}

/* pocl looks at the environment when it is asked for devices the first time. */
static void make_devices(unsigned num_devices)
{
    char list[8 * (MAX_DEVICES + 1)] = "";
    if (num_devices < MIN_POCL_DEVICES)
        num_devices = MIN_POCL_DEVICES;
    for (unsigned i = 0; i < num_devices; i++)
        strcat(list, i ? " pthread" : "pthread");
    bool ours = !getenv("POCL_DEVICES");
    if (ours)
        setenv("POCL_DEVICES", list, 1);
    cl_uint count;
    pocl->clGetDeviceIDs(pocl_platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count);
    if (ours)
        unsetenv("POCL_DEVICES");
}

int pocl_load(unsigned num_devices)
{
    if (pocl)
        return 0;
    void *library = open_library();
    if (!library) {
        fprintf(stderr, "shadowcl test driver: %s\n", dlerror());
        return -1;
    }
    cl_api_clGetExtensionFunctionAddress find;
    *(void **)&find = dlsym(library, "clGetExtensionFunctionAddress");
    cl_int (*get_platforms)(cl_uint, cl_platform_id *, cl_uint *) = NULL;
    if (find)
        *(void **)&get_platforms = find("clIcdGetPlatformIDsKHR");
    cl_platform_id found;
    if (!get_platforms || get_platforms(1, &found, NULL) != CL_SUCCESS)
        return -1;
    pocl_platform = found;
    pocl = found->dispatch;
    make_devices(num_devices);
    return 0;
}
