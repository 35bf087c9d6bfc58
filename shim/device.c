/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §4.2 Devices, §4.3 Partitioning of a device, and cl_ext_device_fission. */
#include <stdlib.h>

#include "shim/cancel.h"
#include "shim/export.h"
#include "shim/gate.h"
#include "shim/handlers.h"
#include "shim/loader.h"
#include "shim/platform.h"

static cl_int check_type(cl_device_type type)
{
    const cl_device_type known = CL_DEVICE_TYPE_DEFAULT | CL_DEVICE_TYPE_CPU | CL_DEVICE_TYPE_GPU |
                                 CL_DEVICE_TYPE_ACCELERATOR | CL_DEVICE_TYPE_CUSTOM;
    if (type != CL_DEVICE_TYPE_ALL && (!type || type & ~known))
        return CL_INVALID_DEVICE_TYPE;
    return CL_SUCCESS;
}

/* The shadows of the platform's devices, made at the first call. */
static cl_int enumerate(struct platform *platform)
{
    if (atomic_load_explicit(&platform->enumerated, memory_order_acquire))
        return CL_SUCCESS;
    NOT_CANCELLED();
    GATE(clGetDeviceIDs);
    KEEP_HANDLERS();
    bool watching = loader_watch();
    cl_int status = platform_enumerate(platform);
    loader_watched(platform->object.driver, watching);
    return status;
}

cl_int platform_devices(struct platform *platform, cl_device_type type, struct device ***devices,
                        cl_uint *count)
{
    cl_int err = check_type(type);
    if (err == CL_SUCCESS)
        err = enumerate(platform);
    if (err != CL_SUCCESS)
        return err;
    *count = platform_select(platform, type, NULL, 0);
    if (!*count)
        return CL_DEVICE_NOT_FOUND;
    *devices = calloc(*count, sizeof(struct device *));
    if (!*devices)
        return CL_OUT_OF_HOST_MEMORY;
    platform_select(platform, type, *devices, *count);
    return CL_SUCCESS;
}

EXPORT cl_int CL_API_CALL clGetDeviceIDs(cl_platform_id platform, cl_device_type device_type,
                                         cl_uint num_entries, cl_device_id *devices,
                                         cl_uint *num_devices)
{
    struct platform *shadow = platform_or_default(platform);
    if (!shadow)
        return CL_INVALID_PLATFORM;
    cl_int err = check_type(device_type);
    if (err != CL_SUCCESS)
        return err;
    if ((devices && !num_entries) || (!devices && !num_devices))
        return CL_INVALID_VALUE;
    err = enumerate(shadow);
    if (err != CL_SUCCESS)
        return err;
    /* A handle is the address of its shadow object. */
    cl_uint count = platform_select(shadow, device_type, (struct device **)devices, num_entries);
    for (cl_uint i = 0; devices && i < count && i < num_entries; i++)
        device_note((struct device *)devices[i], DEVICE_TOLD);
    if (num_devices)
        *num_devices = count;
    return count ? CL_SUCCESS : CL_DEVICE_NOT_FOUND;
}

EXPORT cl_int CL_API_CALL clGetDeviceInfo(cl_device_id device, cl_device_info param_name,
                                          size_t param_value_size, void *param_value,
                                          size_t *param_value_size_ret)
{
    const struct answer to = {param_value_size, param_value, param_value_size_ret};
    struct device *shadow = device_check(device);
    if (!shadow)
        return CL_INVALID_DEVICE;
    if (device_info_known(shadow, param_name))
        return device_info(shadow, param_name, to);
    GATE(clGetDeviceInfo);
    return device_info(shadow, param_name, to);
}

EXPORT cl_int CL_API_CALL clGetDeviceAndHostTimer(cl_device_id device, cl_ulong *device_timestamp,
                                                  cl_ulong *host_timestamp)
{
    struct device *shadow = device_check(device);
    if (!shadow)
        return CL_INVALID_DEVICE;
    GATE(clGetDeviceAndHostTimer);
    const struct driver *driver = shadow->object.driver;
    if (!device_real(shadow))
        return CL_OUT_OF_RESOURCES;
    if (!driver->clGetDeviceAndHostTimer)
        return CL_INVALID_OPERATION;
    cl_int err =
        driver->clGetDeviceAndHostTimer(device_real(shadow), device_timestamp, host_timestamp);
    if (err == CL_SUCCESS) {
        *device_timestamp = timer_told(device_clock(shadow), *device_timestamp);
        *host_timestamp = timer_told(&shadow->host_timer, *host_timestamp);
    }
    return err;
}

EXPORT cl_int CL_API_CALL clGetHostTimer(cl_device_id device, cl_ulong *host_timestamp)
{
    struct device *shadow = device_check(device);
    if (!shadow)
        return CL_INVALID_DEVICE;
    GATE(clGetHostTimer);
    const struct driver *driver = shadow->object.driver;
    if (!device_real(shadow))
        return CL_OUT_OF_RESOURCES;
    if (!driver->clGetHostTimer)
        return CL_INVALID_OPERATION;
    cl_int err = driver->clGetHostTimer(device_real(shadow), host_timestamp);
    if (err == CL_SUCCESS)
        *host_timestamp = timer_told(&shadow->host_timer, *host_timestamp);
    return err;
}

static cl_int create_sub_devices(cl_device_id in_device,
                                 const cl_device_partition_property *properties, bool ext,
                                 cl_uint room, cl_device_id *out_devices, cl_uint *num_devices_ret)
{
    struct device *device = device_check(in_device);
    cl_uint count = room;
    if (!device)
        return CL_INVALID_DEVICE;
    if (!properties || (!out_devices && !num_devices_ret) || (ext && out_devices && !room))
        return CL_INVALID_VALUE;
    if (!device_real(device))
        return CL_OUT_OF_RESOURCES;
    /* As for devices: the handles are the addresses of the shadow objects. */
    cl_int err = device_partition(device, properties, ext, (struct device **)out_devices, &count);
    if (err != CL_SUCCESS)
        return err;
    for (cl_uint i = 0; out_devices && i < count; i++)
        object_publish(out_devices[i]);
    if (num_devices_ret)
        *num_devices_ret = count;
    return CL_SUCCESS;
}

EXPORT cl_int CL_API_CALL clCreateSubDevices(cl_device_id in_device,
                                             const cl_device_partition_property *properties,
                                             cl_uint num_devices, cl_device_id *out_devices,
                                             cl_uint *num_devices_ret)
{
    NOT_CANCELLED();
    GATE(clCreateSubDevices);
    return create_sub_devices(in_device, properties, false, num_devices, out_devices,
                              num_devices_ret);
}

EXPORT cl_int CL_API_CALL clCreateSubDevicesEXT(cl_device_id in_device,
                                                const cl_device_partition_property_ext *properties,
                                                cl_uint num_entries, cl_device_id *out_devices,
                                                cl_uint *num_devices)
{
    NOT_CANCELLED();
    GATE(clCreateSubDevicesEXT);
    return create_sub_devices(in_device, (const cl_device_partition_property *)properties, true,
                              num_entries, out_devices, num_devices);
}

/* Root devices are not counted (§4.3). */
static cl_int retain(cl_device_id handle)
{
    struct device *device = device_check(handle);
    if (!device)
        return CL_INVALID_DEVICE;
    return !device->partition || object_retain(device) ? CL_SUCCESS : CL_INVALID_DEVICE;
}

static cl_int release(cl_device_id handle)
{
    struct device *device = device_check(handle);
    if (!device)
        return CL_INVALID_DEVICE;
    return !device->partition || object_release(device) ? CL_SUCCESS : CL_INVALID_DEVICE;
}

EXPORT cl_int CL_API_CALL clRetainDevice(cl_device_id device)
{
    return retain(device);
}

EXPORT cl_int CL_API_CALL clReleaseDevice(cl_device_id device)
{
    return release(device);
}

EXPORT cl_int CL_API_CALL clRetainDeviceEXT(cl_device_id device)
{
    return retain(device);
}

EXPORT cl_int CL_API_CALL clReleaseDeviceEXT(cl_device_id device)
{
    return release(device);
}
