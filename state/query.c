/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to the driver, and what is done to its answers: see query.h. */
#include "state/query.h"

#include <stdlib.h>
#include <string.h>

#include "shim/dispatch.h"
#include "shim/phase.h"
#include "state/command_buffer.h"

/* Room for an answer, a NUL behind it. */
static cl_int make_room(struct reply *reply)
{
    reply->bytes = calloc(1, reply->size + 1);
    return reply->bytes ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
}

static cl_int finish(struct reply *reply, size_t room, cl_int err)
{
    if (err != CL_SUCCESS || reply->size > room) {
        free(reply->bytes);
        *reply = (struct reply){0};
        return err != CL_SUCCESS ? err : CL_OUT_OF_RESOURCES;
    }
    return CL_SUCCESS;
}

cl_int query_platform(const struct driver *driver, cl_platform_info param, struct reply *reply)
{
    *reply = (struct reply){0};
    if (!driver->platform)
        return CL_INVALID_PLATFORM;
    cl_int err = CALL(driver->clGetPlatformInfo(driver->platform, param, 0, NULL, &reply->size));
    if (err == CL_SUCCESS)
        err = make_room(reply);
    if (err != CL_SUCCESS)
        return err;
    size_t room = reply->size;
    if (room)
        err = CALL(
            driver->clGetPlatformInfo(driver->platform, param, room, reply->bytes, &reply->size));
    return finish(reply, room, err);
}

cl_int query_device(const struct driver *driver, cl_device_id device, cl_device_info param,
                    struct reply *reply)
{
    *reply = (struct reply){0};
    if (!device)
        return CL_OUT_OF_RESOURCES;
    cl_int err = CALL(driver->clGetDeviceInfo(device, param, 0, NULL, &reply->size));
    if (err == CL_SUCCESS)
        err = make_room(reply);
    if (err != CL_SUCCESS)
        return err;
    size_t room = reply->size;
    if (room)
        err = CALL(driver->clGetDeviceInfo(device, param, room, reply->bytes, &reply->size));
    return finish(reply, room, err);
}

char *query_device_text(const struct driver *driver, cl_device_id device, cl_device_info param)
{
    struct reply reply;
    return query_device(driver, device, param, &reply) == CL_SUCCESS ? reply.bytes : strdup("");
}

uint64_t query_device_number(const struct driver *driver, cl_device_id device, cl_device_info param,
                             uint64_t otherwise)
{
    struct reply reply;
    if (query_device(driver, device, param, &reply) != CL_SUCCESS)
        return otherwise;
    uint64_t number = reply_number(reply.bytes, reply.size);
    free(reply.bytes);
    return number;
}

uint64_t reply_number(const void *bytes, size_t size)
{
    uint8_t small = 0;
    uint32_t middle = 0;
    uint64_t large = 0;
    if (size == sizeof small)
        memcpy(&small, bytes, size);
    else if (size == sizeof middle)
        memcpy(&middle, bytes, size);
    else if (size == sizeof large)
        memcpy(&large, bytes, size);
    return large + middle + small;
}

static bool is_command_buffer(const char *name, size_t length)
{
    static const char *const versioned = CL_KHR_COMMAND_BUFFER_EXTENSION_NAME;
    return length == strlen(versioned) && memcmp(name, versioned, length) == 0;
}

/* An extension whose functions changed from version to version has to be one that we wrap. */
static bool is_carried(const struct driver *driver, const char *name, size_t length)
{
    if (!extension_known(name, length))
        return false;
    return !driver || !is_command_buffer(name, length) || command_buffer_usable(driver);
}

void reply_filter_names(struct reply *reply, const struct driver *driver)
{
    char *text = reply->bytes, *end = text;
    for (const char *at = text; *at;) {
        const char *name = at + strspn(at, " ");
        size_t length = strcspn(name, " ");
        if (end == text)
            at = name; /* no space in front of the first */
        if (length && is_carried(driver, name, length)) {
            size_t size = (size_t)(name + length - at); /* with the driver's spaces, as they are */
            memmove(end, at, size);
            end += size;
        }
        at = name + length;
    }
    *end = '\0';
    reply->size = (size_t)(end - text) + 1;
}

void reply_filter_versions(struct reply *reply, const struct driver *driver)
{
    cl_name_version *all = reply->bytes;
    size_t count = reply->size / sizeof *all, kept = 0;
    for (size_t i = 0; i < count; i++) {
        size_t length = strnlen(all[i].name, sizeof all[i].name);
        if (!is_carried(driver, all[i].name, length))
            continue;
        if (is_command_buffer(all[i].name, length) && all[i].version > COMMAND_BUFFER_NEWEST)
            all[i].version = COMMAND_BUFFER_NEWEST;
        all[kept++] = all[i];
    }
    reply->size = kept * sizeof *all;
}

static void *our_handle(void *real, const struct platform *platform, const struct driver *driver)
{
    if (real == driver->platform)
        return (void *)platform;
    for (cl_uint i = 0; i < platform->num_devices; i++)
        if (real == device_real(platform->devices[i]))
            return platform->devices[i];
    return real;
}

void reply_translate(struct reply *reply, const struct platform *platform,
                     const struct driver *driver)
{
    void **words = reply->bytes;
    if (reply->size % sizeof *words == 0)
        for (size_t i = 0; i < reply->size / sizeof *words; i++)
            if (words[i])
                words[i] = our_handle(words[i], platform, driver);
}
