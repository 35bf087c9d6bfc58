/* SPDX-License-Identifier: Apache-2.0 */
/* The ICD's face: the exported calls, the platform, the dispatch table. */
#include "tests/driver/driver.h"

#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

#define X(name) .name = name,
cl_icd_dispatch dispatch = {CALLS(X)};
#undef X

struct _cl_platform_id platform = {&dispatch, NULL};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool started; /* guarded by lock */

static int start(void)
{
    int done = 0;
    pthread_mutex_lock(&lock);
    if (!started) {
        done = devices_start();
        started = done == 0;
    }
    pthread_mutex_unlock(&lock);
    return done;
}

__attribute__((destructor)) static void stop(void)
{
    faults_stand("destructor");
    stall_stop();
    nodes_settle();
    landing_close(&dispatch);
    mems_stop();
    checks_stop();
    devices_stop();
    faults_stop();
}

void *adopt(void *object)
{
    if (object)
        *(const void **)object = &dispatch;
    return object;
}

cl_int adopt_event(cl_int err, cl_event *event)
{
    if (err == CL_SUCCESS && event)
        adopt(*event);
    return err;
}

cl_int answer(const void *data, size_t size, size_t space, void *value, size_t *size_ret)
{
    if (value && space < size)
        return CL_INVALID_VALUE;
    if (value)
        memcpy(value, data, size);
    if (size_ret)
        *size_ret = size;
    return CL_SUCCESS;
}

void *failed(cl_int *errcode_ret, cl_int err)
{
    if (errcode_ret)
        *errcode_ret = err;
    return NULL;
}

EXPORT cl_int CL_API_CALL clIcdGetPlatformIDsKHR(cl_uint num_entries, cl_platform_id *platforms,
                                                 cl_uint *num_platforms)
{
    if ((!platforms && !num_platforms) || (platforms && num_entries == 0))
        return CL_INVALID_VALUE;
    eager_ask("clIcdGetPlatformIDsKHR");
    faults_start();
    cl_int err = faults_apply("load");
    if (err != CL_SUCCESS)
        return err;
    if (start() < 0)
        return CL_PLATFORM_NOT_FOUND_KHR;
    if (platforms)
        platforms[0] = &platform;
    if (num_platforms)
        *num_platforms = 1;
    return CL_SUCCESS;
}

cl_int CL_API_CALL clGetPlatformIDs(cl_uint num_entries, cl_platform_id *platforms,
                                    cl_uint *num_platforms)
{
    return clIcdGetPlatformIDsKHR(num_entries, platforms, num_platforms);
}

/* Told not to be one: nothing else changes. */
static bool is_no_icd(void)
{
    return getenv("SHADOWCL_TEST_NO_ICD") != NULL;
}

/* NULL: as pocl. */
static const char *version(void)
{
    static _Thread_local char text[256];
    return faults_version(text, sizeof text) ? text : getenv("SHADOWCL_TEST_VERSION");
}

static const char *platform_string(cl_platform_info param)
{
    switch (param) {
    case CL_PLATFORM_VERSION:
        return version();
    case CL_PLATFORM_PROFILE:
        return "FULL_PROFILE";
    case CL_PLATFORM_NAME:
        return "shadowcl test platform";
    case CL_PLATFORM_VENDOR:
        return "shadowcl";
    case CL_PLATFORM_EXTENSIONS:
        return is_no_icd() ? "" : "cl_khr_icd";
    case CL_PLATFORM_ICD_SUFFIX_KHR:
        return "SCLT";
    default:
        return NULL;
    }
}

EXPORT cl_int CL_API_CALL clGetPlatformInfo(cl_platform_id id, cl_platform_info param, size_t space,
                                            void *value, size_t *size_ret)
{
    cl_int err = call_begin(CALL_clGetPlatformInfo, 0);
    if (err != CL_SUCCESS)
        return err;
    if (id != &platform)
        return CL_INVALID_PLATFORM;
    const char *string = platform_string(param);
    if (string)
        return answer(string, strlen(string) + 1, space, value, size_ret);
    if (param == CL_PLATFORM_EXTENSIONS_WITH_VERSION) {
        cl_name_version icd = {CL_MAKE_VERSION(1, 0, 0), "cl_khr_icd"};
        return answer(&icd, is_no_icd() ? 0 : sizeof icd, space, value, size_ret);
    }
    return pocl->clGetPlatformInfo(pocl_platform, param, space, value, size_ret);
}

EXPORT void *CL_API_CALL clGetExtensionFunctionAddress(const char *name)
{
    static const char get_platforms[] = "clIcdGetPlatformIDsKHR";
    static const char get_info[] = "clGetPlatformInfo";
    static const char suggest[] = "clGetKernelSuggestedLocalWorkSizeKHR";
    if (!strcmp(name, get_platforms))
        return (void *)clIcdGetPlatformIDsKHR;
    /* Its core call is for OpenCL 2.0 and later. */
    if (!strcmp(name, "clCreateCommandQueueWithPropertiesKHR"))
        return getenv("SHADOWCL_TEST_VERSION") ? (void *)clCreateCommandQueueWithProperties : NULL;
    if (!strcmp(name, suggest))
        return (void *)clGetKernelSuggestedLocalWorkSizeKHR;
    return strcmp(name, get_info) ? extras_function(name) : (void *)clGetPlatformInfo;
}

void *CL_API_CALL clGetExtensionFunctionAddressForPlatform(cl_platform_id id, const char *name)
{
    return id == &platform ? clGetExtensionFunctionAddress(name) : NULL;
}

cl_int CL_API_CALL clUnloadCompiler(void)
{
    cl_int err = call_begin(CALL_clUnloadCompiler, 0);
    return err == CL_SUCCESS ? pocl->clUnloadCompiler() : err;
}

cl_int CL_API_CALL clUnloadPlatformCompiler(cl_platform_id id)
{
    cl_int err = call_begin(CALL_clUnloadPlatformCompiler, 0);
    if (err != CL_SUCCESS)
        return err;
    return id == &platform ? pocl->clUnloadPlatformCompiler(pocl_platform) : CL_INVALID_PLATFORM;
}
