/* SPDX-License-Identifier: Apache-2.0 */
/* Devices: what the application was told of them, who they are, and their way through a suspend.
 * Sub-devices come from a partition (state/partition.c). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/query.h"

/* What changes while a device runs: never frozen. */
#define PROFILING_TIMER_OFFSET_AMD 0x4036
#define GLOBAL_FREE_MEMORY_AMD 0x4039

static char *platform_text(const struct driver *driver)
{
    struct reply reply;
    return query_platform(driver, CL_PLATFORM_NAME, &reply) == CL_SUCCESS ? reply.bytes
                                                                          : strdup("");
}

char *device_identify(const struct driver *driver, cl_device_id real)
{
    char *identity = NULL;
    char *platform = platform_text(driver);
    char *name = query_device_text(driver, real, CL_DEVICE_NAME);
    char *version = query_device_text(driver, real, CL_DEVICE_VERSION);
    char *driver_version = query_device_text(driver, real, CL_DRIVER_VERSION);
    if (platform && name && version && driver_version &&
        asprintf(&identity, "%s\n%s\n%s\n%s", platform, name, version, driver_version) < 0)
        identity = NULL;
    free(platform);
    free(name);
    free(version);
    free(driver_version);
    return identity;
}

struct device *device_create(struct platform *platform, struct device *parent, cl_device_id real)
{
    const struct driver *driver = parent ? parent->object.driver : platform->object.driver;
    struct device *device = object_create(KIND_DEVICE, sizeof *device, driver);
    if (!device)
        return NULL;
    device->object.real = real;
    device->own = real;
    device->own_driver = driver;
    device->platform = platform;
    device->parent = object_hold(parent);
    device->same = true;
    device->type = query_device_number(driver, real, CL_DEVICE_TYPE, CL_DEVICE_TYPE_GPU);
    device->name = query_device_text(driver, real, CL_DEVICE_NAME);
    device->identity = parent ? strdup(parent->identity) : device_identify(driver, real);
    if (!device->name || !device->identity) {
        device_discard(device);
        return NULL;
    }
    return device;
}

struct device *device_load(struct platform *platform, struct device *parent, const char *name,
                           const char *identity, const char *captured_on)
{
    struct device *device = object_create(KIND_DEVICE, sizeof *device, platform->object.driver);
    if (!device)
        return NULL;
    device->own_driver = platform->object.driver;
    device->platform = platform;
    device->parent = object_hold(parent);
    device->name = strdup(name);
    device->identity = strdup(identity);
    device->captured_on = captured_on ? strdup(captured_on) : NULL;
    if (device->name && device->identity && (device->captured_on || !captured_on))
        return device;
    device_discard(device);
    return NULL;
}

static void finish(struct device *device)
{
    if (device->partition) {
        device_release(device);
        partition_leave(device);
    }
    info_cache_finish(&device->info);
    free(device->name);
    free(device->identity);
    free(device->captured_on);
    free(device->rebuilt_on);
    object_drop(device->parent);
}

void device_discard(struct device *device)
{
    finish(device);
    object_discard(device);
}

void device_note(struct device *device, enum device_known known)
{
    while (device->parent)
        device = device->parent;
    uint8_t before = atomic_load_explicit(&device->known, memory_order_relaxed);
    while (before < known && !atomic_compare_exchange_weak(&device->known, &before, (uint8_t)known))
        ;
}

void device_destroy(void *object)
{
    finish(object);
}

/* What the shadow knows by itself. */
static bool is_own(const struct device *device, cl_device_info param)
{
    switch (param) {
    case CL_DEVICE_PLATFORM:
    case CL_DEVICE_PARENT_DEVICE:
    case CL_DEVICE_PARENT_DEVICE_EXT:
    case CL_DEVICE_REFERENCE_COUNT:
    case CL_DEVICE_REFERENCE_COUNT_EXT:
        return true;
    case CL_DEVICE_PARTITION_STYLE_EXT:
        return device->partition && device->partition->ext;
    default:
        return false;
    }
}

static cl_int partition_style(const struct device *device, struct answer to)
{
    const cl_device_partition_property *properties = device->partition->properties;
    size_t words = 1;
    while (properties[words - 1])
        words++;
    return info_bytes(to, properties, words * sizeof *properties);
}

static cl_int own_info(struct device *device, cl_device_info param, struct answer to)
{
    switch (param) {
    case CL_DEVICE_PLATFORM:
        return info_value(to, (cl_platform_id)device->platform);
    case CL_DEVICE_PARENT_DEVICE:
    case CL_DEVICE_PARENT_DEVICE_EXT:
        return info_value(to, (cl_device_id)device->parent);
    case CL_DEVICE_PARTITION_STYLE_EXT:
        return partition_style(device, to);
    default:
        return info_value(to, (cl_uint)atomic_load(&device->object.refs));
    }
}

/* What added to the device's clock gives the wall's; the program sees that clock by ours. */
static void correct_offset(struct device *device, struct reply *reply)
{
    cl_ulong offset;
    if (reply->size != sizeof offset)
        return;
    memcpy(&offset, reply->bytes, sizeof offset);
    offset -= (cl_ulong)atomic_load(&device_clock(device)->offset);
    memcpy(reply->bytes, &offset, sizeof offset);
}

static void prepare(struct device *device, cl_device_info param, struct reply *reply)
{
    switch (param) {
    case CL_DEVICE_EXTENSIONS:
        reply_filter_names(reply, device->object.driver);
        break;
    case CL_DEVICE_EXTENSIONS_WITH_VERSION:
        reply_filter_versions(reply, device->object.driver);
        break;
    case PROFILING_TIMER_OFFSET_AMD:
        correct_offset(device, reply);
        break;
    default:
        reply_translate(reply, device->platform, device->object.driver);
    }
}

static bool is_changing(cl_device_info param)
{
    return param == PROFILING_TIMER_OFFSET_AMD || param == GLOBAL_FREE_MEMORY_AMD;
}

bool device_info_known(struct device *device, cl_device_info param)
{
    return is_own(device, param) || info_cache_find(&device->info, param);
}

cl_int device_info(struct device *device, cl_device_info param, struct answer to)
{
    if (is_own(device, param))
        return own_info(device, param, to);
    const struct info_entry *entry = info_cache_find(&device->info, param);
    if (entry)
        return info_bytes(to, entry->bytes, entry->size);

    struct reply reply;
    cl_int err = query_device(device->object.driver, device_real(device), param, &reply);
    if (err != CL_SUCCESS)
        return err;
    prepare(device, param, &reply);
    if (is_changing(param)) {
        err = info_bytes(to, reply.bytes, reply.size);
    } else {
        entry = info_cache_add(&device->info, param, reply.bytes, reply.size);
        err = entry ? info_bytes(to, entry->bytes, entry->size) : CL_OUT_OF_HOST_MEMORY;
    }
    free(reply.bytes);
    return err;
}

cl_ulong timer_told(struct timer *timer, cl_ulong raw)
{
    cl_ulong last = atomic_load(&timer->last);
    cl_ulong told = raw + (cl_ulong)atomic_load(&timer->offset);
    /* Else it is threads that overtake each other, maybe by long. */
    if (atomic_exchange(&timer->moved, false) && told < last) {
        atomic_fetch_add(&timer->offset, (int64_t)(last - told));
        told = last;
    }
    while (told > last && !atomic_compare_exchange_weak(&timer->last, &last, told))
        ;
    return told < last ? last : told;
}

cl_ulong timer_event(struct timer *timer, cl_ulong raw)
{
    cl_ulong floor = atomic_load(&timer->floor), told;
    int64_t offset = atomic_load(&timer->offset);
    /* A clock that could not be looked at since the device was made again. */
    while ((told = raw + (cl_ulong)offset) < floor)
        atomic_compare_exchange_weak(&timer->offset, &offset, offset + (int64_t)(floor - told));
    cl_ulong last = atomic_load(&timer->last);
    while (told > last && !atomic_compare_exchange_weak(&timer->last, &last, told))
        ;
    return told;
}

struct timer *device_clock(struct device *device)
{
    while (device->parent)
        device = device->parent;
    return &device->device_timer;
}

void timer_go_on(struct timer *timer, cl_ulong now)
{
    cl_ulong last = atomic_load(&timer->last);
    cl_ulong told = now + (cl_ulong)atomic_load(&timer->offset);
    if (told < last)
        atomic_fetch_add(&timer->offset, (int64_t)(last - told));
}

/* The clock may be another one now, or have begun anew. */
static void go_on_counting(struct device *device)
{
    const struct driver *driver = device->object.driver;
    struct timer *timer = &device->device_timer;
    cl_ulong now, host, last = atomic_load(&timer->last);
    atomic_store(&timer->floor, last);
    bool read = last && device_real(device) && driver->clGetDeviceAndHostTimer &&
                driver->version >= 210 &&
                driver->clGetDeviceAndHostTimer(device_real(device), &now, &host) == CL_SUCCESS;
    if (read)
        timer_go_on(timer, now);
    atomic_store(&timer->unread, !read && last);
}

int device_capture(struct device *device, struct error *err)
{
    if (device->partition || !device_real(device))
        return 0;
    char *identity = device_identify(device->object.driver, device_real(device));
    if (!identity)
        return error_set(err, 0, "no memory to look at device `%s`", device->name);
    free(device->captured_on);
    device->captured_on = identity;
    return 0;
}

void device_settle(struct device *device)
{
    const struct device *place = device_place(device);
    device->object.real = place->own;
    device->object.driver = place->platform->object.driver;
}

const char *device_captured_on(const struct device *device)
{
    return device->captured_on ? device->captured_on : device->identity;
}

const char *device_lives_on(const struct device *device)
{
    while (device->parent)
        device = device->parent;
    return device->rebuilt_on ? device->rebuilt_on : device->identity;
}

int device_rebuild(struct device *device, struct error *err)
{
    if (device->partition) {
        if (device_real(device))
            return 0; /* a sibling was first */
        device->same = device->parent->same;
        device->object.driver = device->parent->object.driver;
        return partition_rebuild(device->partition, err);
    }
    if (!device_real(device)) {
        error_object(err, "device `%s`", device->name);
        return error_set(err, 0, "no driver was found for it");
    }
    char *identity = device_identify(device->object.driver, device_real(device));
    if (!identity)
        return error_set(err, 0, "no memory to look at device `%s`", device->name);
    device->same = !strcmp(identity, device_captured_on(device));
    free(device->rebuilt_on);
    device->rebuilt_on = identity;
    go_on_counting(device);
    return 0;
}

void device_lose(struct device *device)
{
    go_on_counting(device);
}

void device_release(struct device *device)
{
    const struct driver *driver = device->object.driver;
    cl_device_id real = device_real(device);
    device->object.real = NULL;
    if (device->partition && real) {
        if (device->partition->ext && driver->clReleaseDeviceEXT)
            RELEASE(driver, clReleaseDeviceEXT, real);
        else
            RELEASE(driver, clReleaseDevice, real);
    }
    atomic_store(&device->device_timer.moved, true);
    atomic_store(&device->host_timer.moved, true);
}
