/* SPDX-License-Identifier: Apache-2.0 */
/* Which files are device nodes that a driver has open: see node_names.h. */
#include "shim/node_names.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

static bool matches_any(const char *patterns, const char *path)
{
    char pattern[512];
    while (patterns && *patterns) {
        size_t length = strcspn(patterns, ":");
        if (length && length < sizeof pattern) {
            memcpy(pattern, patterns, length);
            pattern[length] = 0;
            if (fnmatch(pattern, path, 0) == 0)
                return true;
        }
        patterns += length + (patterns[length] == ':');
    }
    return false;
}

bool node_name_matches(const char *path, const char *more)
{
    static const char usual[] = "/dev/nvidia*:/dev/dri/*:/dev/kfd:/dev/mali*:"
                                "/sys/bus/pci/devices/*/resource*:/sys/devices/pci*/resource*";
    /* Most of what is open or mapped is neither, and there is much of it. */
    bool may_be_usual = !strncmp(path, "/dev/", 5) || !strncmp(path, "/sys/", 5);
    if (path[0] != '/' || (!may_be_usual && (!more || !*more)))
        return false;
    /* A node that has been unlinked is still held. */
    char plain[512];
    snprintf(plain, sizeof plain, "%s", path);
    char *deleted = strstr(plain, " (deleted)");
    if (deleted)
        *deleted = 0;
    return matches_any(usual, plain) || matches_any(more, plain);
}
