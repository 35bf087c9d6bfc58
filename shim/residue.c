/* SPDX-License-Identifier: Apache-2.0 */
/* Device nodes that are open or mapped: see residue.h. */
#include "shim/residue.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/config.h"

static struct residue baseline;

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

static bool is_device_node(const char *path)
{
    static const char usual[] = "/dev/nvidia*:/dev/dri/*:/dev/kfd:/dev/mali*:"
                                "/sys/bus/pci/devices/*/resource*:/sys/devices/pci*/resource*";
    if (path[0] != '/')
        return false;
    /* A node that has been unlinked is still held. */
    char plain[512];
    snprintf(plain, sizeof plain, "%s", path);
    char *deleted = strstr(plain, " (deleted)");
    if (deleted)
        *deleted = 0;
    return matches_any(usual, plain) || matches_any(config_text("SHADOWCL_DEVICE_NODES"), plain);
}

static int add_line(struct residue *out, const char *line, struct error *err)
{
    for (size_t i = 0; i < out->count; i++)
        if (strcmp(out->lines[i], line) == 0)
            return 0;
    char **lines = realloc(out->lines, (out->count + 1) * sizeof *lines);
    if (lines)
        out->lines = lines;
    char *copy = strdup(line);
    if (!lines || !copy) {
        free(copy);
        return error_set(err, ENOMEM, "list the open device nodes");
    }
    out->lines[out->count++] = copy;
    return 0;
}

static int find_descriptors(struct residue *out, struct error *err)
{
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return error_set(err, errno, "open `/proc/self/fd`");
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(directory));) {
        char path[300], target[512], line[900];
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length < 0)
            continue;
        target[length] = 0;
        if (is_device_node(target)) {
            snprintf(line, sizeof line, "fd %s -> %s", entry->d_name, target);
            result = add_line(out, line, err);
        }
    }
    closedir(directory);
    return result;
}

static int find_mappings(struct residue *out, struct error *err)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        return error_set(err, errno, "open `/proc/self/maps`");
    char text[1024], range[64], line[1200];
    int result = 0;
    while (result == 0 && fgets(text, sizeof text, maps)) {
        text[strcspn(text, "\n")] = 0;
        char *path = strchr(text, '/');
        if (!path || !is_device_node(path) || sscanf(text, "%63s", range) != 1)
            continue;
        snprintf(line, sizeof line, "mapping %s of %s", range, path);
        result = add_line(out, line, err);
    }
    fclose(maps);
    return result;
}

int residue_find(struct residue *out, struct error *err)
{
    *out = (struct residue){0};
    if (find_descriptors(out, err) == 0 && find_mappings(out, err) == 0)
        return 0;
    residue_finish(out);
    return -1;
}

void residue_finish(struct residue *residue)
{
    for (size_t i = 0; i < residue->count; i++)
        free(residue->lines[i]);
    free(residue->lines);
    *residue = (struct residue){0};
}

void residue_baseline(void)
{
    struct error ignored;
    residue_finish(&baseline);
    if (residue_find(&baseline, &ignored) != 0)
        baseline = (struct residue){0};
}

int residue_foreign(struct error *err)
{
    struct residue now;
    if (baseline.count == 0)
        return 0;
    if (residue_find(&now, err) != 0)
        return -1;
    int result = 0;
    for (size_t i = 0; i < now.count && result == 0; i++)
        for (size_t j = 0; j < baseline.count && result == 0; j++)
            if (strcmp(now.lines[i], baseline.lines[j]) == 0) {
                error_object(err, "%s", now.lines[i]);
                error_set(err, 0, "it was open before any OpenCL driver was loaded: GL, Vulkan, "
                                  "CUDA, VA-API or the program itself holds the device");
                result = error_todo(err, "only the program can close it: end that use of the "
                                         "device, then suspend again");
            }
    residue_finish(&now);
    return result;
}
