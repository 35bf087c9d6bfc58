/* SPDX-License-Identifier: Apache-2.0 */
/* The devices: which there are, by the environment, and which of them are there now. */
#include "tests/driver/driver.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct device devices[MAX_DEVICES];
unsigned num_devices;

/* The i-th of a colon-separated list, "" beyond its end. Owned. */
static char *list_item(const char *list, unsigned i)
{
    for (; list && i > 0; i--) {
        list = strchr(list, ':');
        list = list ? list + 1 : NULL;
    }
    return list ? strndup(list, strcspn(list, ":")) : strdup("");
}

static size_t parse_size(const char *text)
{
    char *end;
    size_t size = strtoull(text, &end, 0);
    return *end == 'K' ? size << 10 : *end == 'M' ? size << 20 : *end == 'G' ? size << 30 : size;
}

static void parse_caps(struct caps *caps, char *text)
{
    char *rest;
    for (char *word = strtok_r(text, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        if (!strncmp(word, "mem=", 4))
            caps->mem = parse_size(word + 4);
        else if (!strncmp(word, "maxwg=", 6))
            caps->max_wg = parse_size(word + 6);
        else if (!strncmp(word, "maximage=", 9))
            caps->max_image = parse_size(word + 9);
        else if (!strcmp(word, "nofp64"))
            caps->no_fp64 = true;
        else if (!strcmp(word, "noimages"))
            caps->no_images = true;
        else if (!strcmp(word, "nouint8"))
            caps->no_uint8 = true;
        else if (!strcmp(word, "nooutoforder"))
            caps->no_out_of_order = true;
        else if (!strcmp(word, "extras"))
            caps->extras = true;
        else if (!strcmp(word, "inline"))
            caps->inline_native = true;
        else if (!strncmp(word, "variables=", 10))
            caps->variables = strcmp(word + 10, "untold") != 0 ? parse_size(word + 10) : SIZE_MAX;
        else if (!strncmp(word, "align=", 6))
            caps->align = parse_size(word + 6);
        else if (!strcmp(word, "noempty"))
            caps->no_empty = true;
        else if (!strcmp(word, "uneven"))
            caps->uneven = true;
        else if (!strcmp(word, "views"))
            caps->views = true;
        else
            fprintf(stderr, "shadowcl test driver: no such cap: `%s`\n", word);
    }
}

/* A PCI device comes first, then those of SHADOWCL_TEST_DEVICE. */
static void configure(struct device *device, unsigned i)
{
    const char *names = getenv("SHADOWCL_TEST_NAME"), *bar = getenv("SHADOWCL_TEST_BAR");
    if (bar && i == 0)
        device->bar = strdup(bar);
    else
        device->path = list_item(getenv("SHADOWCL_TEST_DEVICE"), bar ? i - 1 : i);
    device->line = list_item(getenv("SHADOWCL_TEST_LINE"), i);
    if (!*device->line) {
        free(device->line);
        device->line = NULL;
    }
    device->name = list_item(names, i);
    if (!*device->name) {
        free(device->name);
        device->name = strdup("shadowcl test GPU");
    }
    char *caps = list_item(getenv("SHADOWCL_TEST_CAPS"), i);
    parse_caps(&device->caps, caps);
    free(caps);
    pthread_mutex_init(&device->lock, NULL);
    device->fd = device->line_fd = -1;
#ifdef TESTDRIVER_NODELETE
    device->remembered = true;
    device->was_there = node_look(device, &device->first, &device->first_size);
#endif
}

int devices_start(void)
{
    const char *list = getenv("SHADOWCL_TEST_DEVICE");
    unsigned wanted = list && *list ? 1 : 0;
    for (const char *c = list; c && *c; c++)
        wanted += *c == ':';
    wanted += getenv("SHADOWCL_TEST_BAR") != NULL;
    if (wanted > MAX_DEVICES)
        wanted = MAX_DEVICES;
    cl_device_id ids[MAX_DEVICES];
    cl_uint count = 0;
    if (pocl_load(wanted) < 0 || pocl->clGetDeviceIDs(pocl_platform, CL_DEVICE_TYPE_ALL,
                                                      MAX_DEVICES, ids, &count) != CL_SUCCESS)
        return -1;
    if (wanted > count) {
        fprintf(stderr, "shadowcl test driver: %u devices, pocl has %u\n", wanted, count);
        wanted = count;
    }
    for (unsigned i = 0; i < wanted; i++) {
        configure(&devices[i], i);
        devices[i].id = ids[i];
        devices[i].pocl_dispatch = *(void **)ids[i];
        adopt(ids[i]);
    }
    num_devices = wanted;
    return 0;
}

void devices_stop(void)
{
    for (unsigned i = 0; i < num_devices; i++) {
        /* pocl's devices stay behind: they must not lead into unloaded code. */
        *(void **)devices[i].id = devices[i].pocl_dispatch;
        heap_clear(&devices[i]);
        free(devices[i].path);
        free(devices[i].bar);
        devices[i].path = devices[i].bar = NULL;
        free(devices[i].line);
        free(devices[i].name);
    }
    num_devices = 0;
}

struct device *device_find(cl_device_id id)
{
    while (id) {
        for (unsigned i = 0; i < num_devices; i++)
            if (devices[i].id == id)
                return &devices[i];
        cl_device_id parent = NULL;
        pocl->clGetDeviceInfo(id, CL_DEVICE_PARENT_DEVICE, sizeof parent, &parent, NULL);
        id = parent;
    }
    return NULL;
}

/* Contents live in the first device's memory; pocl's devices can all reach it. */
struct device *context_device(cl_context context)
{
    unsigned mask = context_mask(context);
    for (unsigned i = 0; i < num_devices; i++)
        if (mask & 1u << i)
            return &devices[i];
    return NULL;
}

bool device_listed(struct device *device)
{
    struct identity identity;
    size_t size;
    return device->remembered ? device->was_there : node_look(device, &identity, &size);
}

size_t device_size(struct device *device)
{
    struct identity identity;
    size_t size = device->first_size;
    if (!device->remembered && !node_look(device, &identity, &size))
        return 0;
    return device->caps.mem && device->caps.mem < size ? device->caps.mem : size;
}

cl_int CL_API_CALL clGetDeviceIDs(cl_platform_id id, cl_device_type type, cl_uint num_entries,
                                  cl_device_id *ids, cl_uint *num_ids)
{
    cl_int err = call_begin(CALL_clGetDeviceIDs, 0);
    if (err != CL_SUCCESS)
        return err;
    if (id != &platform)
        return CL_INVALID_PLATFORM;
    if ((ids && num_entries == 0) || (!ids && !num_ids))
        return CL_INVALID_VALUE;
    cl_device_type known = CL_DEVICE_TYPE_DEFAULT | CL_DEVICE_TYPE_CPU | CL_DEVICE_TYPE_GPU |
                           CL_DEVICE_TYPE_ACCELERATOR | CL_DEVICE_TYPE_CUSTOM;
    if (type != CL_DEVICE_TYPE_ALL && (type == 0 || type & ~known))
        return CL_INVALID_DEVICE_TYPE;
    cl_uint found = 0;
    for (unsigned i = 0; i < num_devices; i++) {
        if (!(type & (CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_DEFAULT)) || !device_listed(&devices[i]))
            continue;
        if (ids && found < num_entries)
            ids[found] = devices[i].id;
        found++;
    }
    if (num_ids)
        *num_ids = found;
    return found ? CL_SUCCESS : CL_DEVICE_NOT_FOUND;
}

RETAIN(clRetainDevice, cl_device_id)
RELEASE(clReleaseDevice, cl_device_id)

cl_int CL_API_CALL clCreateSubDevices(cl_device_id id,
                                      const cl_device_partition_property *properties,
                                      cl_uint num_entries, cl_device_id *ids, cl_uint *num_ids)
{
    cl_int err = call_begin(CALL_clCreateSubDevices, devices_of(id));
    cl_uint count = 0;
    if (err == CL_SUCCESS)
        err = pocl->clCreateSubDevices(id, properties, num_entries, ids, &count);
    if (err != CL_SUCCESS)
        return err;
    for (cl_uint i = 0; ids && i < count; i++)
        adopt(ids[i]);
    if (num_ids)
        *num_ids = count;
    return CL_SUCCESS;
}

/* cl_ext_device_fission, with `extras`: equal parts and parts by counts, whose lists are as those
 * of OpenCL 1.2. */
cl_int CL_API_CALL clCreateSubDevicesEXT(cl_device_id id,
                                         const cl_device_partition_property_ext *properties,
                                         cl_uint num_entries, cl_device_id *ids, cl_uint *num_ids)
{
    cl_device_partition_property core[64] = {0};
    cl_int err = call_begin(CALL_clCreateSubDevicesEXT, devices_of(id));
    struct device *device = device_find(id);
    if (err != CL_SUCCESS)
        return err;
    if (!device || !device->caps.extras)
        return CL_INVALID_OPERATION;
    if (properties[0] != CL_DEVICE_PARTITION_EQUALLY_EXT &&
        properties[0] != CL_DEVICE_PARTITION_BY_COUNTS_EXT)
        return CL_INVALID_VALUE;
    for (int i = 1; i < 62 && properties[i]; i++)
        core[i] = (cl_device_partition_property)properties[i];
    core[0] = properties[0] == CL_DEVICE_PARTITION_EQUALLY_EXT ? CL_DEVICE_PARTITION_EQUALLY
                                                               : CL_DEVICE_PARTITION_BY_COUNTS;
    return clCreateSubDevices(id, core, num_entries, ids, num_ids);
}

cl_int CL_API_CALL clRetainDeviceEXT(cl_device_id id)
{
    cl_int err = call_begin(CALL_clRetainDeviceEXT, devices_of(id));
    return err == CL_SUCCESS ? pocl->clRetainDevice(id) : err;
}

cl_int CL_API_CALL clReleaseDeviceEXT(cl_device_id id)
{
    cl_int err = call_begin(CALL_clReleaseDeviceEXT, 0);
    return err == CL_SUCCESS ? pocl->clReleaseDevice(id) : err;
}
