/* SPDX-License-Identifier: Apache-2.0 */
/* From a SPEC to a device: `PLATFORM:INDEX`, or a part of a name, or a number. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/loader.h"
#include "state/device.h"

/* What a SPEC says; one of the ways that `matches` tells apart. */
struct spec {
    char platform[128]; /* before the colon; "" without one */
    const char *device; /* after it, or everything */
    bool numbered;      /* `device` is a number */
    unsigned long number;
    struct platform **platforms;
    cl_uint num_platforms;
};

static bool is_number(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

/* Without a colon before the index a number counts all devices, in the order of their platforms. */
static void parse(struct spec *spec, const char *text)
{
    const char *colon = strrchr(text, ':');
    spec->platform[0] = '\0';
    spec->device = text;
    if (colon && is_number(colon + 1) && (size_t)(colon - text) < sizeof spec->platform) {
        snprintf(spec->platform, sizeof spec->platform, "%.*s", (int)(colon - text), text);
        spec->device = colon + 1;
    }
    spec->numbered = is_number(spec->device);
    spec->number = spec->numbered ? strtoul(spec->device, NULL, 10) : 0;
}

/* 2: the name itself, 1: a part of it, 0: not at all. */
static int name_fits(const char *name, const char *text)
{
    if (!strcasecmp(name, text))
        return 2;
    return *text && strcasestr(name, text) ? 1 : 0;
}

/* By its short name too, whole: "pocl". */
static int platform_name_fits(const struct platform *platform, const char *text)
{
    int fit = name_fits(platform->name, text);
    return fit ? fit : *text && !strcasecmp(platform->suffix, text);
}

static int platform_fits(const struct spec *spec, cl_uint index)
{
    if (is_number(spec->platform))
        return strtoul(spec->platform, NULL, 10) == index ? 2 : 0;
    return platform_name_fits(spec->platforms[index], spec->platform);
}

/* How well the device fits; `overall` counts the devices of all platforms. */
static int fits(const struct spec *spec, cl_uint platform, const struct device *device,
                unsigned overall)
{
    if (spec->platform[0])
        return device->index == spec->number ? platform_fits(spec, platform) : 0;
    if (spec->numbered)
        return overall == spec->number ? 2 : 0;
    int by_device = name_fits(device->name, spec->device);
    int by_platform = platform_name_fits(device->platform, spec->device);
    return by_device > by_platform ? by_device : by_platform;
}

struct visit {
    int best;              /* only devices that fit so well */
    unsigned count;        /* those that do */
    struct device *device; /* the first of them */
    char *text;            /* their list, cut to its size; may be NULL */
    size_t size;
};

static void list_device(struct visit *visit, cl_uint platform, const struct device *device)
{
    if (!visit->text)
        return;
    int length =
        snprintf(visit->text, visit->size, "%s%u:%u `%s` (%s)", visit->count == 1 ? "" : ", ",
                 platform, device->index, device->name, device->platform->name);
    size_t used = length < 0 ? 0 : (size_t)length < visit->size ? (size_t)length : visit->size - 1;
    visit->text += used;
    visit->size -= used;
}

/* Counts the devices that fit as well as visit->best; a better one starts the count again. */
static void walk(const struct spec *spec, struct visit *visit, bool all)
{
    unsigned overall = 0;
    for (cl_uint i = 0; i < spec->num_platforms; i++) {
        struct platform *platform = spec->platforms[i];
        for (cl_uint j = 0; j < platform->num_devices; j++, overall++) {
            int fit = all ? visit->best : fits(spec, i, platform->devices[j], overall);
            if (fit > visit->best) {
                visit->best = fit;
                visit->count = 0;
            }
            if (fit < visit->best || fit == 0)
                continue;
            if (visit->count++ == 0)
                visit->device = platform->devices[j];
            list_device(visit, i, platform->devices[j]);
        }
    }
}

struct device *device_find(const char *spec_text, struct error *err)
{
    struct spec spec;
    struct visit visit = {0};
    char list[sizeof err->reason] = "";

    parse(&spec, spec_text);
    spec.platforms = loader_platforms(&spec.num_platforms);
    for (cl_uint i = 0; i < spec.num_platforms; i++)
        if (spec.platforms[i]->object.real)
            platform_enumerate(spec.platforms[i]);
    walk(&spec, &visit, false);
    if (visit.count == 1)
        return visit.device;

    bool none = visit.count == 0;
    struct visit shown = {.best = none ? 1 : visit.best, .text = list, .size = sizeof list};
    walk(&spec, &shown, none);
    error_object(err, "device `%s`", spec_text);
    if (none)
        error_set(err, 0, shown.count ? "no such device; there is: %s" : "no driver has a device%s",
                  list);
    else
        error_set(err, 0, "that can be %u devices: %s", visit.count, list);
    if (!none)
        error_final(err);
    error_todo(err, "name one by PLATFORM:INDEX, or by its name or a part of it");
    return NULL;
}
