/* SPDX-License-Identifier: Apache-2.0 */
/* What a device says of itself where it differs from pocl's: a GPU with memory of its own, and
 * without what its caps take away. */
#include "tests/driver/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Of pocl's extensions those that need no functions; what needs some is not wrapped and not
 * reported.
 */
static bool has_extension(struct device *device, const char *name, size_t length)
{
    static const char *const never[] = {"cl_khr_command_buffer", "cl_khr_spir", "cl_khr_il_program",
                                        "cl_khr_gl_sharing", "cl_khr_egl_image"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (strlen(never[i]) == length && !memcmp(never[i], name, length))
            return false;
    if (length == strlen("cl_khr_fp64") && !memcmp(name, "cl_khr_fp64", length))
        return !device->caps.no_fp64;
    if (length == strlen("cl_khr_3d_image_writes") &&
        !memcmp(name, "cl_khr_3d_image_writes", length))
        return !device->caps.no_images;
    return true;
}

/* pocl's whole answer to a query. Owned by the caller; NULL on failure. */
static void *pocl_answer(cl_device_id id, cl_device_info param, size_t *size)
{
    if (pocl->clGetDeviceInfo(id, param, 0, NULL, size) != CL_SUCCESS)
        return NULL;
    void *data = calloc(1, *size + 1);
    if (data && pocl->clGetDeviceInfo(id, param, *size, data, NULL) == CL_SUCCESS)
        return data;
    free(data);
    return NULL;
}

/* The one that is ours. */
static const char suggested[] = "cl_khr_suggested_local_work_size";

static cl_int answer_extensions(struct device *device, size_t space, void *value, size_t *size_ret)
{
    size_t size, length = 0;
    char *all = pocl_answer(device->id, CL_DEVICE_EXTENSIONS, &size), *more = NULL;
    if (!all)
        return CL_OUT_OF_HOST_MEMORY;
    for (char *word = all; *word;) {
        size_t end = strcspn(word, " ");
        char *next = word + end + strspn(word + end, " ");
        if (has_extension(device, word, end)) {
            if (length)
                all[length++] = ' ';
            memmove(all + length, word, end);
            length += end;
        }
        word = next;
    }
    all[length] = 0;
    int total =
        asprintf(&more, "%s%s%s%s%s", all, length ? " " : "", suggested, extras_extensions(device),
                 device->caps.views ? " cl_khr_image2d_from_buffer" : "");
    cl_int err =
        total < 0 ? CL_OUT_OF_HOST_MEMORY : answer(more, (size_t)total + 1, space, value, size_ret);
    free(all);
    free(total < 0 ? NULL : more);
    return err;
}

/* Lists of names with versions: extensions, and OpenCL C features. */
static cl_int answer_versions(struct device *device, cl_device_info param, size_t space,
                              void *value, size_t *size_ret)
{
    size_t size, count = 0;
    cl_name_version *all = pocl_answer(device->id, param, &size);
    if (!all)
        return CL_OUT_OF_HOST_MEMORY;
    for (size_t i = 0; i < size / sizeof *all; i++) {
        bool fp64 = !strcmp(all[i].name, "__opencl_c_fp64") && device->caps.no_fp64;
        bool images = strstr(all[i].name, "_images") && device->caps.no_images;
        if (!fp64 && !images && has_extension(device, all[i].name, strlen(all[i].name)))
            all[count++] = all[i];
    }
    cl_name_version *more = realloc(all, (count + 1) * sizeof *all);
    all = more ? more : all;
    if (more && param == CL_DEVICE_EXTENSIONS_WITH_VERSION) {
        all[count] = (cl_name_version){.version = CL_MAKE_VERSION(1, 0, 0)};
        strcpy(all[count++].name, suggested);
    }
    cl_int err = answer(all, count * sizeof *all, space, value, size_ret);
    free(all);
    return err;
}

static cl_int answer_sizes(struct device *device, cl_device_id id, size_t space, void *value,
                           size_t *size_ret)
{
    size_t size;
    size_t *sizes = pocl_answer(id, CL_DEVICE_MAX_WORK_ITEM_SIZES, &size);
    if (!sizes)
        return CL_OUT_OF_HOST_MEMORY;
    for (size_t i = 0; device->caps.max_wg && i < size / sizeof *sizes; i++)
        if (sizes[i] > device->caps.max_wg)
            sizes[i] = device->caps.max_wg;
    cl_int err = answer(sizes, size, space, value, size_ret);
    free(sizes);
    return err;
}

/* cl_amd_device_attribute_query: from the device's clock to the wall's. */
#define PROFILING_TIMER_OFFSET_AMD 0x4036

static cl_ulong time_offset(void)
{
    struct timespec now;
    cl_ulong device = device_time_now();
    clock_gettime(CLOCK_REALTIME, &now);
    return (cl_ulong)now.tv_sec * 1000000000 + (cl_ulong)now.tv_nsec - device;
}

/* What is one 64-bit number and ours to say. */
static bool number(struct device *device, cl_device_id id, cl_device_info param, cl_ulong *value)
{
    switch (param) {
    case CL_DEVICE_TYPE:
        *value = CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_DEFAULT;
        return true;
    case PROFILING_TIMER_OFFSET_AMD:
        *value = time_offset();
        return !device_has_no_clock();
    case CL_DEVICE_GLOBAL_MEM_SIZE:
        *value = device_size(device);
        return true;
    case CL_DEVICE_MAX_MEM_ALLOC_SIZE:
        *value = device_size(device) / 2;
        return true;
    case CL_DEVICE_MAX_GLOBAL_VARIABLE_SIZE:
        *value = 65536;
        return device->caps.variables;
    case CL_DEVICE_SVM_CAPABILITIES:
        *value = device->caps.extras ? CL_DEVICE_SVM_COARSE_GRAIN_BUFFER : 0;
        return true;
    case CL_DEVICE_DOUBLE_FP_CONFIG:
        *value = 0;
        return device->caps.no_fp64;
    case CL_DEVICE_QUEUE_ON_HOST_PROPERTIES:
        *value = 0;
        pocl->clGetDeviceInfo(id, param, sizeof *value, value, NULL);
        *value &= ~(cl_ulong)CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
        return device->caps.no_out_of_order;
    default:
        return extras_info(device, param, value);
    }
}

static cl_int answer_string(const char *string, size_t space, void *value, size_t *size_ret)
{
    return answer(string, strlen(string) + 1, space, value, size_ret);
}

cl_int CL_API_CALL clGetDeviceInfo(cl_device_id id, cl_device_info param, size_t space, void *value,
                                   size_t *size_ret)
{
    cl_int err = call_begin(CALL_clGetDeviceInfo, devices_of(id));
    struct device *device = device_find(id);
    if (err != CL_SUCCESS || !device)
        return err != CL_SUCCESS ? err : CL_INVALID_DEVICE;
    static const cl_platform_id ours = &platform;
    const cl_bool no = CL_FALSE, yes = CL_TRUE;
    cl_ulong wide;
    cl_uint bits;
    if (number(device, id, param, &wide))
        return answer(&wide, sizeof wide, space, value, size_ret);
    switch (param) {
    case CL_DEVICE_PLATFORM:
        return answer(&ours, sizeof ours, space, value, size_ret);
    case CL_DEVICE_NAME:
        return answer_string(device->name, space, value, size_ret);
    case CL_DEVICE_VENDOR:
        return answer_string("shadowcl", space, value, size_ret);
    case CL_DEVICE_HOST_UNIFIED_MEMORY:
        return answer(&no, sizeof no, space, value, size_ret);
    case CL_DEVICE_BUILT_IN_KERNELS:
        return answer_string(device->caps.extras ? BUILT_IN_KERNEL : "", space, value, size_ret);
    case CL_DEVICE_EXTENSIONS:
        return answer_extensions(device, space, value, size_ret);
    case CL_DEVICE_EXTENSIONS_WITH_VERSION:
    case CL_DEVICE_OPENCL_C_FEATURES:
        return answer_versions(device, param, space, value, size_ret);
    case CL_DEVICE_MAX_WORK_ITEM_SIZES:
        return answer_sizes(device, id, space, value, size_ret);
    case CL_DEVICE_MAX_WORK_GROUP_SIZE:
        if (device->caps.max_wg)
            return answer(&device->caps.max_wg, sizeof(size_t), space, value, size_ret);
        break;
    case CL_DEVICE_IMAGE_PITCH_ALIGNMENT:
    case CL_DEVICE_IMAGE_BASE_ADDRESS_ALIGNMENT:
        bits = VIEW_ALIGNMENT;
        if (device->caps.views)
            return answer(&bits, sizeof bits, space, value, size_ret);
        break;
    case CL_DEVICE_MEM_BASE_ADDR_ALIGN:
        bits = (cl_uint)device->caps.align * 8;
        if (bits)
            return answer(&bits, sizeof bits, space, value, size_ret);
        break;
    case CL_DEVICE_IMAGE2D_MAX_WIDTH:
    case CL_DEVICE_IMAGE2D_MAX_HEIGHT:
        if (device->caps.max_image)
            return answer(&device->caps.max_image, sizeof(size_t), space, value, size_ret);
        break;
    case CL_DEVICE_NON_UNIFORM_WORK_GROUP_SUPPORT:
        if (device->caps.uneven)
            return answer(&yes, sizeof yes, space, value, size_ret);
        break;
    case CL_DEVICE_IMAGE_SUPPORT:
        if (device->caps.no_images)
            return answer(&no, sizeof no, space, value, size_ret);
        break;
    }
    return pocl->clGetDeviceInfo(id, param, space, value, size_ret);
}
