/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the kernel's files: see available.h. */
#include "state/available.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_PATH 1024

/* One version of the memory controller. */
struct controller {
    const char *mount, *limit, *used, *cache; /* the last is a line's first word in memory.stat */
};

static const struct controller version_2 = {"/sys/fs/cgroup", "memory.max", "memory.current",
                                            "inactive_file"};
static const struct controller version_1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                            "memory.usage_in_bytes", "total_inactive_file"};

/* The number behind a word at a line's beginning, or, without a word, at that of the file. */
static uint64_t read_number(const char *path, const char *word, uint64_t otherwise)
{
    char line[256];
    uint64_t number = otherwise;
    size_t length = strlen(word);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, word, length) != 0 || (length && line[length] != ' '))
            continue;
        char *end;
        uint64_t value = strtoull(line + length, &end, 10);
        number = end == line + length ? otherwise : value; /* "max" is no limit */
        break;
    }
    if (file)
        fclose(file);
    return number;
}

uint64_t available_memory(const char *root)
{
    char path[LONGEST_PATH];
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    uint64_t kilobytes = read_number(path, "MemAvailable:", UINT64_MAX / 1024);
    return kilobytes < UINT64_MAX / 1024 ? kilobytes * 1024 : UINT64_MAX;
}

static uint64_t available_in(const char *folder, const struct controller *controller)
{
    char path[LONGEST_PATH + 64];
    snprintf(path, sizeof path, "%s/%s", folder, controller->limit);
    uint64_t limit = read_number(path, "", UINT64_MAX);
    if (limit == UINT64_MAX)
        return UINT64_MAX;
    snprintf(path, sizeof path, "%s/%s", folder, controller->used);
    uint64_t used = read_number(path, "", 0);
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    uint64_t cache = read_number(path, controller->cache, 0);
    used -= cache < used ? cache : used;
    return limit > used ? limit - used : 0;
}

/* The group's own, and all above it, as far as they are to be seen here. */
static uint64_t least_of(const char *root, const struct controller *controller, char *group)
{
    uint64_t least = UINT64_MAX;
    char folder[LONGEST_PATH];
    for (;;) {
        snprintf(folder, sizeof folder, "%s%s%s", root, controller->mount, group);
        uint64_t available = available_in(folder, controller);
        least = available < least ? available : least;
        char *slash = strrchr(group, '/');
        if (!slash)
            return least;
        *slash = 0;
    }
}

/* "4:cpu,memory:/path": is it the memory controller's? */
static bool is_memory(const char *controllers, size_t length)
{
    while (length) {
        size_t word = strcspn(controllers, ",:");
        if (word == strlen("memory") && !strncmp(controllers, "memory", word))
            return true;
        if (word >= length)
            break;
        controllers += word + 1;
        length -= word + 1;
    }
    return false;
}

uint64_t available_in_cgroup(const char *root)
{
    uint64_t least = UINT64_MAX;
    char line[LONGEST_PATH], path[LONGEST_PATH];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group || group[1] != '/' || strlen(group) > LONGEST_PATH / 2)
            continue;
        size_t length = (size_t)(group - controllers - 1);
        uint64_t available = UINT64_MAX;
        if (length == 0)
            available = least_of(root, &version_2, group + 1);
        else if (is_memory(controllers + 1, length))
            available = least_of(root, &version_1, group + 1);
        least = available < least ? available : least;
    }
    if (file)
        fclose(file);
    return least;
}
