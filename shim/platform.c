/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §4.1 Platforms. */
#include "shim/platform.h"
#include "shim/export.h"
#include "shim/gate.h"
#include "shim/loader.h"
#include "shim/start.h"

struct platform *platform_or_default(cl_platform_id handle)
{
    if (handle)
        return platform_check(handle);
    loader_start();
    return loader_default_platform();
}

static cl_int list_platforms(cl_uint num_entries, cl_platform_id *platforms, cl_uint *num_platforms)
{
    cl_uint count = 0;
    if ((platforms && !num_entries) || (!platforms && !num_platforms))
        return CL_INVALID_VALUE;
    loader_start();
    struct platform **all = loader_platforms(&count);
    if (num_platforms)
        *num_platforms = count;
    if (!count)
        return CL_PLATFORM_NOT_FOUND_KHR;
    for (cl_uint i = 0; platforms && i < count && i < num_entries; i++)
        platforms[i] = (cl_platform_id)all[i];
    return CL_SUCCESS;
}

EXPORT cl_int CL_API_CALL clGetPlatformIDs(cl_uint num_entries, cl_platform_id *platforms,
                                           cl_uint *num_platforms)
{
    return list_platforms(num_entries, platforms, num_platforms);
}

/* What a loader asks us for when we are installed as an ICD: its first question, then. */
EXPORT cl_int CL_API_CALL clIcdGetPlatformIDsKHR(cl_uint num_entries, cl_platform_id *platforms,
                                                 cl_uint *num_platforms)
{
    start_icd_mode = true; /* read by loader_start, once: later it means nothing */
    return list_platforms(num_entries, platforms, num_platforms);
}

EXPORT cl_int CL_API_CALL clGetPlatformInfo(cl_platform_id platform, cl_platform_info param_name,
                                            size_t param_value_size, void *param_value,
                                            size_t *param_value_size_ret)
{
    const struct answer to = {param_value_size, param_value, param_value_size_ret};
    struct platform *shadow = platform_or_default(platform);
    if (!shadow)
        return CL_INVALID_PLATFORM;
    if (platform_info_known(shadow, param_name))
        return platform_info(shadow, param_name, to);
    GATE(clGetPlatformInfo);
    return platform_info(shadow, param_name, to);
}
