/* SPDX-License-Identifier: Apache-2.0 */
/* A PCI device as the device node: where sysfs shows one of this vendor and kind, and its memory,
 * which is the file `resource2` (that of QEMU's ivshmem-plain). */
#include "tests/driver/driver.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads a file of one number, such as `0x1af4`; -1 without it. */
static long read_number(int folder, const char *name)
{
    char text[32] = "";
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    return size > 0 ? strtol(text, NULL, 0) : -1;
}

static bool is_wanted(int devices_folder, const char *address, unsigned vendor, unsigned kind)
{
    int folder = openat(devices_folder, address, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return false;
    bool wanted = read_number(folder, "vendor") == vendor && read_number(folder, "device") == kind;
    close(folder);
    return wanted;
}

static bool find_folder(const char *ids, char *path, size_t space)
{
    const char *sysfs = getenv("SHADOWCL_TEST_SYSFS");
    unsigned vendor, kind;
    char parent[256];
    if (sscanf(ids, "%4x:%4x", &vendor, &kind) != 2)
        return false;
    snprintf(parent, sizeof parent, "%s/bus/pci/devices", sysfs ? sysfs : "/sys");
    struct dirent **entries;
    int count = scandir(parent, &entries, NULL, alphasort);
    int folder = count < 0 ? -1 : open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool found = false;
    for (int i = 0; i < count; i++) {
        if (!found && entries[i]->d_name[0] != '.' &&
            is_wanted(folder, entries[i]->d_name, vendor, kind)) {
            int length = snprintf(path, space, "%s/%s", parent, entries[i]->d_name);
            found = length > 0 && (size_t)length < space;
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    if (folder >= 0)
        close(folder);
    return found;
}

bool bar_find(const char *ids, char *path, size_t space)
{
    char folder[NODE_PATH / 2];
    if (!find_folder(ids, folder, sizeof folder))
        return false;
    snprintf(path, space, "%s/resource2", folder);
    return true;
}

/* The kernel counts: one that is enabled already is left as it is. */
bool bar_enable(const char *path)
{
    char enable[NODE_PATH];
    snprintf(enable, sizeof enable, "%.*s/enable", (int)(strrchr(path, '/') - path), path);
    int fd = open(enable, O_RDWR | O_CLOEXEC);
    char now = 0;
    bool enabled = fd >= 0 && read(fd, &now, 1) == 1 && (now != '0' || pwrite(fd, "1", 1, 0) == 1);
    if (fd >= 0)
        close(fd);
    return enabled;
}
