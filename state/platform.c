/* SPDX-License-Identifier: Apache-2.0 */
/* Platforms: the list of their root devices, made once, and what the application was told of them.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/query.h"

/* Recursive: a driver may ask us for devices while we ask it. It sees none then. */
static pthread_mutex_t enumerate_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static struct platform *busy; /* guarded by enumerate_lock */

void platform_reset(void)
{
    enumerate_lock = (pthread_mutex_t)PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    busy = NULL;
}

static char *platform_text(const struct driver *driver, cl_platform_info param)
{
    struct reply reply;
    return query_platform(driver, param, &reply) == CL_SUCCESS ? reply.bytes : strdup("");
}

struct platform *platform_create(const struct driver *driver)
{
    struct platform *platform = object_create(KIND_PLATFORM, sizeof *platform, driver);
    if (!platform)
        return NULL;
    platform->object.real = driver->platform;
    platform->name = platform_text(driver, CL_PLATFORM_NAME);
    platform->suffix = platform_text(driver, CL_PLATFORM_ICD_SUFFIX_KHR);
    if (!platform->name || !platform->suffix) {
        platform_destroy(platform);
        object_discard(platform);
        return NULL;
    }
    object_publish(platform);
    return platform;
}

struct platform *platform_load(const struct driver *driver, const char *name, const char *suffix)
{
    struct platform *platform = object_create(KIND_PLATFORM, sizeof *platform, driver);
    if (!platform)
        return NULL;
    platform->name = strdup(name);
    platform->suffix = strdup(suffix);
    atomic_store(&platform->enumerated, true);
    if (platform->name && platform->suffix)
        return platform;
    platform_destroy(platform);
    object_discard(platform);
    return NULL;
}

void platform_destroy(void *object)
{
    struct platform *platform = object;
    info_cache_finish(&platform->info);
    free(platform->devices);
    free(platform->name);
    free(platform->suffix);
}

/* Appends the driver's devices of a type that are not in the list yet. From one call to the next
 * there may be fewer. */
static cl_int list_devices(const struct driver *driver, cl_device_type type, cl_device_id **list,
                           cl_uint *count)
{
    cl_uint more = 0, now = 0;
    if (driver->clGetDeviceIDs(driver->platform, type, 0, NULL, &more) != CL_SUCCESS || !more)
        return CL_SUCCESS;
    cl_device_id *all = realloc(*list, (*count + more) * sizeof(cl_device_id));
    if (!all)
        return CL_OUT_OF_HOST_MEMORY;
    *list = all;
    cl_device_id *found = all + *count;
    if (driver->clGetDeviceIDs(driver->platform, type, more, found, &now) != CL_SUCCESS)
        return CL_SUCCESS;
    for (cl_uint i = 0; i < more && i < now; i++) {
        cl_uint before = 0;
        while (before < *count && all[before] != found[i])
            before++;
        if (before == *count)
            all[(*count)++] = found[i];
    }
    return CL_SUCCESS;
}

cl_int platform_list(const struct driver *driver, cl_device_id **list, cl_uint *count)
{
    *list = NULL;
    *count = 0;
    cl_int err = list_devices(driver, CL_DEVICE_TYPE_ALL, list, count);
    if (err == CL_SUCCESS)
        err = list_devices(driver, CL_DEVICE_TYPE_CUSTOM, list, count);
    return err;
}

/* Gives the listed device `place` to the shadow, unless one of them is taken already. */
static void claim(struct device *device, cl_device_id *list, cl_uint place)
{
    if (device->own || !list[place])
        return;
    device->own = list[place];
    list[place] = NULL;
}

void platform_find_own(struct platform *platform, const struct driver *driver)
{
    cl_device_id *list = NULL;
    cl_uint count = 0;
    if (platform_list(driver, &list, &count) != CL_SUCCESS)
        count = 0;
    for (cl_uint i = 0; i < platform->num_devices; i++)
        platform->devices[i]->own = NULL;
    for (cl_uint j = 0; j < count; j++) {
        cl_device_id real = list[j];
        char *identity = device_identify(driver, real);
        for (cl_uint i = 0; identity && list[j] && i < platform->num_devices; i++)
            if (!strcmp(identity, platform->devices[i]->identity))
                claim(platform->devices[i], list, j);
        free(identity);
    }
    /* None has come or gone: what is new about one is its driver's version, or the like. */
    for (cl_uint i = 0; count == platform->num_devices && i < count; i++)
        claim(platform->devices[i], list, i);
    free(list);
}

static bool has_default(struct device **devices, cl_uint count)
{
    cl_uint i = 0;
    while (i < count && !devices[i]->is_default)
        i++;
    return i < count;
}

static cl_int make_devices(struct platform *platform, const cl_device_id *list, cl_uint count)
{
    const struct driver *driver = platform->object.driver;
    cl_device_id first = NULL;
    struct device **devices = calloc(count ? count : 1, sizeof(struct device *));
    if (!devices)
        return CL_OUT_OF_HOST_MEMORY;
    if (driver->clGetDeviceIDs(driver->platform, CL_DEVICE_TYPE_DEFAULT, 1, &first, NULL) !=
        CL_SUCCESS)
        first = count ? list[0] : NULL;
    for (cl_uint i = 0; i < count; i++) {
        devices[i] = device_create(platform, NULL, list[i]);
        if (!devices[i]) {
            while (i-- > 0)
                device_discard(devices[i]);
            free(devices);
            return CL_OUT_OF_HOST_MEMORY;
        }
        devices[i]->index = i;
        devices[i]->is_default = list[i] == first;
    }
    if (count && !has_default(devices, count))
        devices[0]->is_default = true;
    for (cl_uint i = 0; i < count; i++)
        object_publish(devices[i]);
    platform->devices = devices;
    platform->num_devices = count;
    atomic_store_explicit(&platform->enumerated, true, memory_order_release);
    return CL_SUCCESS;
}

cl_int platform_enumerate(struct platform *platform)
{
    cl_int err = CL_SUCCESS;

    /* One that did not come back with its driver may come later: it has no devices till then. */
    if (atomic_load_explicit(&platform->enumerated, memory_order_acquire) || !platform->object.real)
        return CL_SUCCESS;
    pthread_mutex_lock(&enumerate_lock);
    if (!atomic_load_explicit(&platform->enumerated, memory_order_acquire) && busy != platform) {
        struct platform *outer = busy;
        cl_device_id *list = NULL;
        cl_uint count;
        busy = platform;
        err = platform_list(platform->object.driver, &list, &count);
        if (err == CL_SUCCESS)
            err = make_devices(platform, list, count);
        free(list);
        busy = outer;
    }
    pthread_mutex_unlock(&enumerate_lock);
    return err;
}

static bool is_of_type(const struct device *device, cl_device_type type)
{
    if (type == CL_DEVICE_TYPE_ALL)
        return !(device->type & CL_DEVICE_TYPE_CUSTOM);
    if ((type & CL_DEVICE_TYPE_DEFAULT) && device->is_default)
        return true;
    return device->type & type & ~(cl_device_type)CL_DEVICE_TYPE_DEFAULT;
}

cl_uint platform_select(const struct platform *platform, cl_device_type type, struct device **found,
                        cl_uint room)
{
    cl_uint count = 0;
    for (cl_uint i = 0; i < platform->num_devices; i++) {
        if (!is_of_type(platform->devices[i], type))
            continue;
        if (found && count < room)
            found[count] = platform->devices[i];
        count++;
    }
    return count;
}

/* cl_khr_icd is ours to report: whatever the driver, the platform is reached through a loader. */
static cl_int add_icd_name(struct reply *reply)
{
    const char *text = reply->bytes;
    for (const char *at = text; (at = strstr(at, "cl_khr_icd")); at++)
        if (at[strlen("cl_khr_icd")] == ' ' || at[strlen("cl_khr_icd")] == '\0')
            return CL_SUCCESS;
    size_t length = strlen(text), room = length + sizeof " cl_khr_icd";
    char *longer = realloc(reply->bytes, room);
    if (!longer)
        return CL_OUT_OF_HOST_MEMORY;
    snprintf(longer + length, room - length, "%scl_khr_icd", length ? " " : "");
    *reply = (struct reply){longer, strlen(longer) + 1};
    return CL_SUCCESS;
}

static cl_int add_icd_version(struct reply *reply)
{
    const cl_name_version icd = {CL_MAKE_VERSION(1, 0, 0), "cl_khr_icd"};
    cl_name_version *all = reply->bytes;
    size_t count = reply->size / sizeof *all;
    for (size_t i = 0; i < count; i++)
        if (!strcmp(all[i].name, icd.name))
            return CL_SUCCESS;
    all = realloc(all, (count + 1) * sizeof *all);
    if (!all)
        return CL_OUT_OF_HOST_MEMORY;
    all[count] = icd;
    *reply = (struct reply){all, (count + 1) * sizeof *all};
    return CL_SUCCESS;
}

bool platform_info_known(struct platform *platform, cl_platform_info param)
{
    return info_cache_find(&platform->info, param);
}

cl_int platform_info(struct platform *platform, cl_platform_info param, struct answer to)
{
    const struct info_entry *entry = info_cache_find(&platform->info, param);
    if (entry)
        return info_bytes(to, entry->bytes, entry->size);

    const struct driver *driver = platform->object.driver;
    struct reply reply;
    cl_int err = query_platform(driver, param, &reply);
    if (err != CL_SUCCESS)
        return err;
    if (param == CL_PLATFORM_EXTENSIONS) {
        reply_filter_names(&reply, driver);
        err = add_icd_name(&reply);
    } else if (param == CL_PLATFORM_EXTENSIONS_WITH_VERSION) {
        reply_filter_versions(&reply, driver);
        err = add_icd_version(&reply);
    } else {
        reply_translate(&reply, platform, driver);
    }
    if (err == CL_SUCCESS) {
        entry = info_cache_add(&platform->info, param, reply.bytes, reply.size);
        err = entry ? info_bytes(to, entry->bytes, entry->size) : CL_OUT_OF_HOST_MEMORY;
    }
    free(reply.bytes);
    return err;
}
