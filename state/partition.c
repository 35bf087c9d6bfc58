/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions: one clCreateSubDevices and its parts. A rebuild makes the whole partition again and
 * gives back the parts that the application had released. */
#include <stdlib.h>
#include <string.h>

#include "state/device.h"

#define PARTITION_EXT_WORDS 512 /* more is no sensible list of properties */
#define PARTITION_MOST_PARTS 65536

static cl_int call(const struct driver *driver, cl_device_id device,
                   const cl_device_partition_property *properties, bool ext, cl_uint room,
                   cl_device_id *parts, cl_uint *count)
{
    /* rusticl leaves the place in its table empty */
    if (!ext && !driver->clCreateSubDevices)
        return CL_DEVICE_PARTITION_FAILED;
    if (!ext)
        return driver->clCreateSubDevices(device, properties, room, parts, count);
    if (!driver->clCreateSubDevicesEXT)
        return CL_INVALID_OPERATION;
    return driver->clCreateSubDevicesEXT(
        device, (const cl_device_partition_property_ext *)properties, room, parts, count);
}

static void give_back(const struct driver *driver, bool ext, cl_device_id part)
{
    if (ext && driver->clReleaseDeviceEXT)
        RELEASE(driver, clReleaseDeviceEXT, part);
    else
        RELEASE(driver, clReleaseDevice, part);
}

/* A list with values in it ends with the first 0 in the place of a key;
 * CL_DEVICE_PARTITION_BY_COUNTS and the lists of the EXT call end with a 0 of their own before
 * that. */
static size_t count_words(const cl_device_partition_property *properties, bool ext)
{
    const cl_device_partition_property *at = properties;
    while (*at && at - properties < PARTITION_EXT_WORDS) {
        bool list =
            ext ? *at != CL_DEVICE_PARTITION_EQUALLY_EXT &&
                      *at != CL_DEVICE_PARTITION_BY_AFFINITY_DOMAIN_EXT
                : *at == CL_DEVICE_PARTITION_BY_COUNTS || *at == CL_DEVICE_PARTITION_BY_NAMES_INTEL;
        cl_device_partition_property end =
            !ext && *at == CL_DEVICE_PARTITION_BY_NAMES_INTEL ? CL_PARTITION_BY_NAMES_LIST_END_INTEL
            : ext && *at == CL_DEVICE_PARTITION_BY_NAMES_EXT  ? CL_PARTITION_BY_NAMES_LIST_END_EXT
                                                              : 0;
        at++;
        while (list && *at != end && at - properties < PARTITION_EXT_WORDS)
            at++;
        at++;
    }
    return (size_t)(at - properties) + 1;
}

static struct partition *partition_create(const cl_device_partition_property *properties, bool ext,
                                          cl_uint num_parts)
{
    size_t words = count_words(properties, ext), size = words * sizeof *properties;
    struct partition *partition =
        calloc(1, sizeof *partition + num_parts * sizeof(struct device *));
    if (!partition)
        return NULL;
    partition->properties = malloc(size);
    if (!partition->properties) {
        free(partition);
        return NULL;
    }
    memcpy(partition->properties, properties, size);
    partition->num_words = words;
    partition->ext = ext;
    partition->num_parts = num_parts;
    return partition;
}

struct partition *partition_load(const int64_t *properties, size_t count, bool ext,
                                 cl_uint num_parts)
{
    cl_device_partition_property words[PARTITION_EXT_WORDS + 4] = {0};
    if (count > PARTITION_EXT_WORDS || num_parts == 0 || num_parts > PARTITION_MOST_PARTS)
        return NULL;
    for (size_t i = 0; i < count; i++)
        words[i] = (cl_device_partition_property)properties[i];
    /* What ends a list was written or not, but nothing may come after the end, or be left open. */
    size_t needed = count_words(words, ext);
    if (needed > count + 2 || needed < count)
        return NULL;
    return partition_create(words, ext, num_parts);
}

bool partition_join(struct partition *partition, struct device *part, cl_uint index)
{
    if (index >= partition->num_parts || partition->parts[index])
        return false;
    part->index = index;
    part->partition = partition;
    partition->parts[index] = part;
    atomic_fetch_add(&partition->refs, 1);
    return true;
}

void partition_leave(struct device *part)
{
    struct partition *partition = part->partition;
    partition->parts[part->index] = NULL;
    if (atomic_fetch_sub(&partition->refs, 1) != 1)
        return;
    free(partition->properties);
    free(partition);
}

/* Makes shadows for the driver's new parts; on a failure all of the parts are given back. */
static cl_int wrap_parts(struct device *device, struct partition *partition,
                         const cl_device_id *reals, struct device **parts)
{
    for (cl_uint i = 0; i < partition->num_parts; i++) {
        parts[i] = device_create(device->platform, device, reals[i]);
        if (!parts[i]) {
            for (cl_uint left = i; left < partition->num_parts; left++)
                give_back(device->object.driver, partition->ext, reals[left]);
            if (i == 0) {
                free(partition->properties);
                free(partition);
            }
            while (i-- > 0)
                device_discard(parts[i]);
            return CL_OUT_OF_HOST_MEMORY;
        }
        parts[i]->index = i;
        parts[i]->partition = partition;
        partition->parts[i] = parts[i];
        atomic_fetch_add(&partition->refs, 1);
    }
    return CL_SUCCESS;
}

cl_int device_partition(struct device *device, const cl_device_partition_property *properties,
                        bool ext, struct device **parts, cl_uint *num_parts)
{
    const struct driver *driver = device->object.driver;
    cl_uint room = *num_parts, count = 0;
    cl_int err = call(driver, device_real(device), properties, ext, 0, NULL, &count);
    if (err != CL_SUCCESS || !parts) {
        *num_parts = count;
        return err;
    }
    if (room < count || !count)
        return CL_INVALID_VALUE;
    cl_device_id *reals = calloc(count, sizeof(cl_device_id));
    struct partition *partition = partition_create(properties, ext, count);
    err = CL_OUT_OF_HOST_MEMORY;
    if (reals && partition)
        err = call(driver, device_real(device), properties, ext, count, reals, NULL);
    if (err == CL_SUCCESS) {
        err = wrap_parts(device, partition, reals, parts);
    } else if (partition) {
        free(partition->properties);
        free(partition);
    }
    free(reals);
    *num_parts = count;
    return err;
}

int partition_check(const struct device *part, const struct driver *driver, cl_device_id other,
                    struct error *err)
{
    const struct partition *partition = part->partition;
    cl_uint count = 0;
    if (part->parent->partition)
        return 0; /* a part of a part: known only once the first is there */
    cl_int code = call(driver, other, partition->properties, partition->ext, 0, NULL, &count);
    if (code == CL_SUCCESS && count >= partition->num_parts)
        return 0;
    error_object(err, "sub-device %u of device `%s`", part->index, part->parent->name);
    error_todo(err, "choose a device that can be divided into %u parts in the same way",
               partition->num_parts);
    if (code != CL_SUCCESS)
        return error_set(err, 0, "the other device can't be divided in this way (error %d)", code);
    return error_set(err, 0, "the other device gives %u parts, the program has %u", count,
                     partition->num_parts);
}

static struct device *first_part(const struct partition *partition)
{
    cl_uint i = 0;
    while (!partition->parts[i])
        i++;
    return partition->parts[i];
}

int partition_rebuild(struct partition *partition, struct error *err)
{
    struct device *parent = first_part(partition)->parent;
    const struct driver *driver = parent->object.driver;
    if (partition_check(first_part(partition), driver, device_real(parent), err))
        return -1;
    cl_uint count = 0;
    cl_int code =
        call(driver, device_real(parent), partition->properties, partition->ext, 0, NULL, &count);
    cl_device_id *reals = calloc(count ? count : 1, sizeof(cl_device_id));
    if (!reals)
        return error_set(err, 0, "no memory for %u sub-devices", count);
    if (code == CL_SUCCESS)
        code = call(driver, device_real(parent), partition->properties, partition->ext, count,
                    reals, NULL);
    if (code != CL_SUCCESS || count < partition->num_parts) {
        for (cl_uint i = 0; code == CL_SUCCESS && i < count; i++)
            give_back(driver, partition->ext, reals[i]);
        free(reals);
        error_object(err, "the %u sub-devices of device `%s`", partition->num_parts, parent->name);
        return error_set(err, 0, "the driver does not make them again (error %d)", code);
    }
    for (cl_uint i = 0; i < count; i++) {
        struct device *part = i < partition->num_parts ? partition->parts[i] : NULL;
        if (part) {
            part->object.real = reals[i];
            part->object.driver = driver;
            part->same = parent->same;
        } else {
            give_back(driver, partition->ext, reals[i]);
        }
    }
    free(reals);
    return 0;
}
