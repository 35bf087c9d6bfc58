/* SPDX-License-Identifier: Apache-2.0 */
/* Which files are device nodes that a driver has open: see node_names.h. */
#include "shim/node_names.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

/* Which of the patterns; -1: none. */
static int find_match(const char *patterns, const char *path)
{
    char pattern[512];
    for (int i = 0; patterns && *patterns; i++) {
        size_t length = strcspn(patterns, ":");
        if (length && length < sizeof pattern) {
            memcpy(pattern, patterns, length);
            pattern[length] = 0;
            if (fnmatch(pattern, path, 0) == 0)
                return i;
        }
        patterns += length + (patterns[length] == ':');
    }
    return -1;
}

int node_name_sort(const char *path, const char *more)
{
    /* A bus may be one of the platform's: /sys/devices/platform/40000000.pcie/pci0000:00. */
    static const char usual[] = "/dev/nvidia*:/dev/dri/*:/dev/kfd:/dev/mali*:/dev/accel/*:"
                                "/sys/bus/pci/devices/*/resource*:/sys/devices/*pci*/resource*";
    enum { NUM_USUAL = 7 };
    /* Most of what is open or mapped is neither, and there is much of it. */
    bool may_be_usual = !strncmp(path, "/dev/", 5) || !strncmp(path, "/sys/", 5);
    if (path[0] != '/' || (!may_be_usual && (!more || !*more)))
        return -1;
    /* A node that has been unlinked is still held. */
    char plain[512];
    snprintf(plain, sizeof plain, "%s", path);
    char *deleted = strstr(plain, " (deleted)");
    if (deleted)
        *deleted = 0;
    int sort = find_match(usual, plain), own = sort < 0 ? find_match(more, plain) : -1;
    return own < 0 ? sort : NUM_USUAL + own;
}

bool node_name_matches(const char *path, const char *more)
{
    return node_name_sort(path, more) >= 0;
}
