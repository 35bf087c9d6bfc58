/* SPDX-License-Identifier: Apache-2.0 */
/* Device nodes that are open or mapped: see residue.h. Whose they are is in residue_owner.c. */
#include "shim/residue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "shim/config.h"
#include "shim/node_names.h"
#include "shim/residue_visit.h"

static bool is_device_node(const char *path)
{
    return node_name_matches(path, config.device_nodes);
}

bool identity_same(const struct identity *a, const struct identity *b)
{
    return a->device == b->device && a->inode == b->inode && (a->device || a->inode);
}

static int add_node(void *data, const struct node *node, struct error *err)
{
    struct residue *out = data;
    struct node *nodes = realloc(out->nodes, (out->count + 1) * sizeof *nodes);
    if (nodes)
        out->nodes = nodes;
    char *path = strdup(node->path);
    if (!nodes || !path) {
        free(path);
        return error_set(err, ENOMEM, "list the open device nodes");
    }
    nodes[out->count] = *node;
    nodes[out->count++].path = path;
    return 0;
}

static void identify(struct node *node)
{
    struct stat s;
    if (fstat(node->fd, &s) != 0)
        return;
    node->file = node->of = (struct identity){s.st_dev, s.st_ino};
    if (S_ISCHR(s.st_mode) || S_ISBLK(s.st_mode))
        node->of = (struct identity){s.st_rdev, 0};
}

static int visit_descriptor(int directory, const char *name, residue_visitor *visit, void *data,
                            struct error *err)
{
    char target[512];
    ssize_t length = readlinkat(directory, name, target, sizeof target - 1);
    if (length < 0)
        return 0;
    target[length] = 0;
    if (!is_device_node(target))
        return 0;
    struct node node = {.fd = atoi(name), .path = target};
    identify(&node);
    return visit(data, &node, err);
}

int residue_visit(residue_visitor *visit, void *data, struct error *err)
{
    _Alignas(struct dirent64) char entries[4096];
    int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return error_set(err, errno, "open `/proc/self/fd`");
    int result = 0;
    for (ssize_t size; result == 0 && (size = getdents64(directory, entries, sizeof entries));) {
        if (size < 0)
            result = error_set(err, errno, "read `/proc/self/fd`");
        for (ssize_t at = 0; result == 0 && at < size;) {
            const struct dirent64 *entry = (const struct dirent64 *)(entries + at);
            at += entry->d_reclen;
            result = visit_descriptor(directory, entry->d_name, visit, data, err);
        }
    }
    close(directory);
    return result;
}

/* START-END RIGHTS OFFSET MAJOR:MINOR INODE PATH */
static bool read_mapping(char *line, struct node *node)
{
    unsigned major, minor;
    *node = (struct node){.fd = -1, .path = strchr(line, '/')};
    if (!node->path || !is_device_node(node->path) ||
        sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %x:%x %" SCNu64, &node->start, &node->end,
               &major, &minor, &node->file.inode) != 5)
        return false;
    node->file.device = makedev(major, minor);
    return true;
}

static int find_mappings(struct residue *out, struct error *err)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        return error_set(err, errno, "open `/proc/self/maps`");
    char text[1024];
    int result = 0;
    while (result == 0 && fgets(text, sizeof text, maps)) {
        struct node node;
        text[strcspn(text, "\n")] = 0;
        if (read_mapping(text, &node))
            result = add_node(out, &node, err);
    }
    fclose(maps);
    return result;
}

int residue_find(struct residue *out, struct error *err)
{
    *out = (struct residue){0};
    if (residue_visit(add_node, out, err) == 0 && find_mappings(out, err) == 0)
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
