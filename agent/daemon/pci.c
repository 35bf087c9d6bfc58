/* SPDX-License-Identifier: Apache-2.0 */
/* The PCI devices of the guest: see pci.h. */
#include "agent/daemon/pci.h"

#include "agent/answer.h"

#include <dirent.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { MOST_DEVICES = 4096 };

static const char *sysfs(void)
{
    const char *set = getenv("SHADOWCL_SYSFS");
    return set && *set ? set : "/sys";
}

/* What lies beside /sys: /dev, /proc. */
static void find_beside(char *out, size_t size, const char *path)
{
    const char *sys = sysfs(), *name = strrchr(sys, '/');
    snprintf(out, size, "%.*s%s", name ? (int)(name - sys) : 0, sys, path);
}

/* The first line of a file, without its 0x. */
static void read_word(const char *folder, const char *name, char *out, size_t size)
{
    char path[PATH_MAX + 64], line[64] = "";
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    if (file) {
        if (!fgets(line, sizeof line, file))
            line[0] = 0;
        fclose(file);
    }
    line[strcspn(line, "\n")] = 0;
    snprintf(out, size, "%s", line + (strncmp(line, "0x", 2) == 0 ? 2 : 0));
}

static void read_driver(struct pci_device *device)
{
    char path[PATH_MAX + 16], target[PATH_MAX];
    snprintf(path, sizeof path, "%s/driver", device->folder);
    ssize_t length = readlink(path, target, sizeof target - 1);
    target[length < 0 ? 0 : length] = 0;
    const char *slash = strrchr(target, '/');
    snprintf(device->driver, sizeof device->driver, "%.*s", (int)sizeof device->driver - 1,
             slash ? slash + 1 : target);
}

static void add_node(struct pci_device *device, const char *path, dev_t number)
{
    size_t count = json_array_size(device->nodes);
    if (json_array_append_new(device->nodes, answer_string(path)) == 0 && count < PCI_MOST_NUMBERS)
        device->numbers[count] = number;
}

/* "226:0" */
static dev_t read_number(const char *folder)
{
    char text[32];
    unsigned major, minor;
    read_word(folder, "dev", text, sizeof text);
    return sscanf(text, "%u:%u", &major, &minor) == 2 ? makedev(major, minor) : 0;
}

/* Files of the device's folder that tell of a node: drm/card0 is /dev/dri/card0. */
static void add_nodes(struct pci_device *device, const char *kind, const char *dev)
{
    char pattern[PATH_MAX + 32], folder[PATH_MAX - 256], node[PATH_MAX];
    glob_t found;
    find_beside(folder, sizeof folder, dev);
    snprintf(pattern, sizeof pattern, "%s/%s/*[0-9]", device->folder, kind);
    if (glob(pattern, 0, NULL, &found))
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        snprintf(node, sizeof node, "%s/%.250s", folder, strrchr(found.gl_pathv[i], '/') + 1);
        add_node(device, node, read_number(found.gl_pathv[i]));
    }
    globfree(&found);
}

static void add_path(struct pci_device *device, const char *path)
{
    struct stat status;
    bool is_node = stat(path, &status) == 0 && S_ISCHR(status.st_mode);
    add_node(device, path, is_node ? status.st_rdev : 0);
}

/* Nodes that a vendor's driver has for all of its devices. */
static void add_there(struct pci_device *device, const char *path)
{
    char pattern[PATH_MAX];
    glob_t found;
    find_beside(pattern, sizeof pattern, path);
    if (glob(pattern, 0, NULL, &found))
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        add_path(device, found.gl_pathv[i]);
    globfree(&found);
}

/* As NVIDIA's driver tells it; -1 where it does not. */
static int find_minor(const struct pci_device *device)
{
    char name[96], path[PATH_MAX], line[256];
    int minor = -1;
    snprintf(name, sizeof name, "/proc/driver/nvidia/gpus/%s/information", device->address);
    find_beside(path, sizeof path, name);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Device Minor: %d", &minor) == 1)
            break;
    if (file)
        fclose(file);
    return minor;
}

static size_t count_there(const char *path)
{
    char pattern[PATH_MAX];
    glob_t found;
    find_beside(pattern, sizeof pattern, path);
    if (glob(pattern, 0, NULL, &found))
        return 0;
    size_t count = found.gl_pathc;
    globfree(&found);
    return count;
}

/* Of several devices each has the node of its number, which may be made only when it is used; the
 * others, which whoever uses any of them has open, tell nothing of one. */
static void add_nvidia(struct pci_device *device)
{
    char name[32], path[PATH_MAX];
    int minor = find_minor(device);
    if (minor < 0 || count_there("/proc/driver/nvidia/gpus/*") < 2) {
        add_there(device, "/dev/nvidia*");
        return;
    }
    snprintf(name, sizeof name, "/dev/nvidia%d", minor);
    find_beside(path, sizeof path, name);
    add_path(device, path);
}

static size_t count_driver(const struct pci *pci, const char *driver)
{
    size_t count = 0;
    for (size_t i = 0; i < pci->count; i++)
        count += !strcmp(pci->list[i].driver, driver);
    return count;
}

static void find_nodes(const struct pci *pci, struct pci_device *device)
{
    device->nodes = json_array();
    add_nodes(device, "drm", "/dev/dri");
    add_nodes(device, "accel", "/dev/accel");
    if (!strcmp(device->driver, "nvidia"))
        add_nvidia(device);
    if (!strcmp(device->driver, "amdgpu") && count_driver(pci, "amdgpu") == 1)
        add_there(device, "/dev/kfd");
}

static void read_device(struct pci_device *device, const char *folder, const char *address)
{
    char path[PATH_MAX + 256];
    *device = (struct pci_device){0};
    snprintf(path, sizeof path, "%s/%s", folder, address);
    if (!realpath(path, device->folder))
        snprintf(device->folder, sizeof device->folder, "%.*s", PATH_MAX - 1, path);
    snprintf(device->address, sizeof device->address, "%.*s", (int)sizeof device->address - 1,
             address);
    read_word(device->folder, "vendor", device->vendor, sizeof device->vendor);
    read_word(device->folder, "device", device->device, sizeof device->device);
    read_word(device->folder, "class", device->class, sizeof device->class);
    read_driver(device);
}

static int by_address(const void *a, const void *b)
{
    return strcmp(((const struct pci_device *)a)->address, ((const struct pci_device *)b)->address);
}

void pci_list(struct pci *pci)
{
    char folder[PATH_MAX - 64];
    *pci = (struct pci){0};
    snprintf(folder, sizeof folder, "%s/bus/pci/devices", sysfs());
    DIR *stream = opendir(folder);
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof pci->list->address ||
            pci->count == MOST_DEVICES)
            continue;
        struct pci_device *list = realloc(pci->list, (pci->count + 1) * sizeof *list);
        if (!list)
            break;
        pci->list = list;
        read_device(&list[pci->count++], folder, entry->d_name);
    }
    if (stream)
        closedir(stream);
    if (pci->count)
        qsort(pci->list, pci->count, sizeof *pci->list, by_address);
    for (size_t i = 0; i < pci->count; i++)
        find_nodes(pci, &pci->list[i]);
}

void pci_finish(struct pci *pci)
{
    for (size_t i = 0; i < pci->count; i++)
        json_decref(pci->list[i].nodes);
    free(pci->list);
    *pci = (struct pci){0};
}

bool pci_is_compute(const struct pci_device *device)
{
    return !strncmp(device->class, "03", 2) || !strncmp(device->class, "12", 2) ||
           !strncmp(device->class, "0b40", 4);
}

bool pci_owns(const struct pci_device *device, const char *path)
{
    size_t length = strlen(device->folder);
    if (!strncmp(path, device->folder, length) && !strncmp(path + length, "/resource", 9))
        return true;
    for (size_t i = 0; i < json_array_size(device->nodes); i++) {
        const char *node = json_string_value(json_array_get(device->nodes, i));
        size_t size = strlen(node);
        if (!strncmp(path, node, size) && (!path[size] || path[size] == ' '))
            return true;
    }
    return false;
}

const char *pci_find_number(const struct pci *pci, dev_t number)
{
    for (size_t i = 0; number && i < pci->count; i++)
        for (size_t j = 0; j < PCI_MOST_NUMBERS; j++)
            if (pci->list[i].numbers[j] == number)
                return json_string_value(json_array_get(pci->list[i].nodes, j));
    return NULL;
}

bool pci_is_in(const struct pci_device *device, const char *list)
{
    size_t size = strlen(device->address);
    while (*list) {
        size_t length = strcspn(list, " ");
        if (length == size && !memcmp(list, device->address, size))
            return true;
        list += length + (list[length] == ' ');
    }
    return false;
}

static bool is_there(const struct pci *pci, const char *address)
{
    for (size_t i = 0; i < pci->count; i++)
        if (pci_is_in(&pci->list[i], address))
            return true;
    return false;
}

int pci_check(const struct pci *pci, const char *list, struct error *err)
{
    while (*list) {
        char address[sizeof pci->list->address];
        size_t length = strcspn(list, " ");
        snprintf(address, sizeof address, "%.*s", (int)length, list);
        if (!is_there(pci, address)) {
            error_object(err, "device %s", address);
            error_todo(err, "name one that `status` or lspci lists, or leave out `devices`");
            return error_set(err, 0, "there is no such device here: who holds it can't be known");
        }
        list += length + (list[length] == ' ');
    }
    return 0;
}

json_t *pci_describe(const struct pci_device *device)
{
    return json_pack("{s:o, s:s, s:s, s:s, s:o, s:O}", "address", answer_string(device->address),
                     "vendor", device->vendor, "device", device->device, "class", device->class,
                     "driver", device->driver[0] ? answer_string(device->driver) : json_null(),
                     "nodes", device->nodes);
}
