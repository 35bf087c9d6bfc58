/* SPDX-License-Identifier: Apache-2.0 */
/* Device nodes that are open or mapped, and who opened them: see residue.h. */
#include "shim/residue.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/config.h"
#include "shim/node_names.h"
#include "shim/residue_take.h"

#define MOST_WATCHED 64

/* Both lists are guarded by lock. Mappings go by the path of a descriptor, so only these count. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct residue foreign, drivers;
static unsigned watched;
static unsigned inside; /* threads between residue_enter and residue_leave */

static bool is_device_node(const char *path)
{
    return node_name_matches(path, config_text("SHADOWCL_DEVICE_NODES"));
}

static int add_node(struct residue *out, struct node node, const char *path, struct error *err)
{
    struct node *nodes = realloc(out->nodes, (out->count + 1) * sizeof *nodes);
    if (nodes)
        out->nodes = nodes;
    node.path = strdup(path);
    if (!nodes || !node.path) {
        free(node.path);
        return error_set(err, ENOMEM, "list the open device nodes");
    }
    out->nodes[out->count++] = node;
    return 0;
}

static int find_descriptors(struct residue *out, struct error *err)
{
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return error_set(err, errno, "open `/proc/self/fd`");
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(directory));) {
        char path[300], target[512];
        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length < 0)
            continue;
        target[length] = 0;
        if (is_device_node(target))
            result = add_node(out, (struct node){.fd = atoi(entry->d_name)}, target, err);
    }
    closedir(directory);
    return result;
}

static int find_mappings(struct residue *out, struct error *err)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        return error_set(err, errno, "open `/proc/self/maps`");
    char text[1024];
    int result = 0;
    while (result == 0 && fgets(text, sizeof text, maps)) {
        struct node node = {.fd = -1};
        text[strcspn(text, "\n")] = 0;
        char *path = strchr(text, '/');
        if (path && is_device_node(path) &&
            sscanf(text, "%" SCNxPTR "-%" SCNxPTR, &node.start, &node.end) == 2)
            result = add_node(out, node, path, err);
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
        free(residue->nodes[i].path);
    free(residue->nodes);
    *residue = (struct residue){0};
}

void residue_describe(const struct node *node, char *text, size_t size)
{
    if (node->fd >= 0)
        snprintf(text, size, "fd %d -> %s", node->fd, node->path);
    else
        snprintf(text, size, "mapping %" PRIxPTR "-%" PRIxPTR " of %s", node->start, node->end,
                 node->path);
}

static bool has_descriptor(const struct residue *list, const struct node *node)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->nodes[i].fd == node->fd && strcmp(list->nodes[i].path, node->path) == 0)
            return true;
    return false;
}

static bool has_path(const struct residue *list, const char *path)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->nodes[i].path, path) == 0)
            return true;
    return false;
}

/* Forgets what is not open any more: the number may come again as somebody else's. */
static void keep_open(struct residue *list, const struct residue *now)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (has_descriptor(now, &list->nodes[i]))
            list->nodes[kept++] = list->nodes[i];
        else
            free(list->nodes[i].path);
    list->count = kept;
}

/* What is open now and in neither list is added to this one. Returns how many; with the lock. */
static size_t add_new(struct residue *to)
{
    struct residue now = {0};
    struct error ignored;
    size_t added = 0;
    if (find_descriptors(&now, &ignored) == 0) {
        keep_open(&foreign, &now);
        keep_open(&drivers, &now);
        for (size_t i = 0; i < now.count; i++)
            if (!has_descriptor(&foreign, &now.nodes[i]) &&
                !has_descriptor(&drivers, &now.nodes[i]))
                added += add_node(to, now.nodes[i], now.nodes[i].path, &ignored) == 0;
    }
    residue_finish(&now);
    return added;
}

bool residue_enter(bool always)
{
    pthread_mutex_lock(&lock);
    bool watching = always || watched < MOST_WATCHED;
    /* With another thread in such a call, what is new may be that one's. */
    if (watching && inside++ == 0)
        add_new(&foreign);
    watched += watching && !always;
    pthread_mutex_unlock(&lock);
    return watching;
}

bool residue_leave(bool watching)
{
    if (!watching)
        return false;
    pthread_mutex_lock(&lock);
    size_t added = add_new(&drivers);
    inside--;
    pthread_mutex_unlock(&lock);
    return added > 0;
}

void residue_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    inside = 0;
}

int residue_foreign(struct error *err)
{
    struct residue now = {0};
    int result = 0;
    pthread_mutex_lock(&lock);
    if (foreign.count && find_descriptors(&now, err) == 0)
        keep_open(&foreign, &now);
    if (foreign.count) {
        residue_describe(&foreign.nodes[0], err->object, sizeof err->object);
        error_set(err, 0,
                  "no OpenCL driver opened it: GL, Vulkan, CUDA, VA-API or the program "
                  "itself holds the device");
        result = error_todo(err, "only the program can close it: end that use of the device, then "
                                 "suspend again");
    }
    pthread_mutex_unlock(&lock);
    residue_finish(&now);
    return result;
}

/* Is it the driver's beyond doubt? A mapping is when only drivers have the node open. */
static bool is_drivers(const struct node *node)
{
    if (node->fd >= 0)
        return has_descriptor(&drivers, node);
    return has_path(&drivers, node->path) && !has_path(&foreign, node->path);
}

size_t residue_take(const struct residue *residue)
{
    size_t taken = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < residue->count; i++)
        if (is_drivers(&residue->nodes[i]))
            taken += node_take(&residue->nodes[i]);
    pthread_mutex_unlock(&lock);
    return taken;
}
