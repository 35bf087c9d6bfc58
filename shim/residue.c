/* SPDX-License-Identifier: Apache-2.0 */
/* Device nodes that are open or mapped, and who opened them: see residue.h. */
#include "shim/residue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim/config.h"
#include "shim/log.h"
#include "shim/node_names.h"
#include "shim/phase.h"
#include "shim/residue_take.h"

#define MOST_WATCHED 64
#define MOST_KNOWN 2048

/* Descriptors whose owner is known. A table, not a list on the heap: what a driver opened must not
 * be forgotten, nor what the program opened be taken for a driver's, because memory is short. */
struct table {
    size_t count;
    struct known {
        int fd;
        bool open;     /* at the last look */
        uint64_t path; /* hash of it */
    } nodes[MOST_KNOWN];
};

/* All guarded by lock. Mappings go by the path of a descriptor, so only these count. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct table foreign, drivers;
static uint64_t sorts; /* of nodes that drivers have opened, as bits: see sort_bit */
static unsigned watched;
static bool missed; /* a call was not watched: a driver may have opened any sort of node in it */
static unsigned inside; /* threads between residue_enter and residue_leave */
static bool gave_up;    /* threads of an instance that was abandoned may go on */
static bool unsure;     /* there was no look at what was open before */

static bool is_device_node(const char *path)
{
    return node_name_matches(path, config_text("SHADOWCL_DEVICE_NODES"));
}

static uint64_t sort_bit(const char *path)
{
    int sort = node_name_sort(path, config_text("SHADOWCL_DEVICE_NODES"));
    return UINT64_C(1) << (sort < 63 ? sort : 63);
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

typedef int visitor(void *data, int fd, const char *path, struct error *err);

static int visit_descriptor(int directory, const char *name, visitor *visit, void *data,
                            struct error *err)
{
    char target[512];
    ssize_t length = readlinkat(directory, name, target, sizeof target - 1);
    if (length < 0)
        return 0;
    target[length] = 0;
    return is_device_node(target) ? visit(data, atoi(name), target, err) : 0;
}

/* Calls `visit` for each descriptor of a device node; allocates nothing (opendir would). */
static int visit_descriptors(visitor *visit, void *data, struct error *err)
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

static int add_descriptor(void *out, int fd, const char *path, struct error *err)
{
    return add_node(out, (struct node){.fd = fd}, path, err);
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
    if (visit_descriptors(add_descriptor, out, err) == 0 && find_mappings(out, err) == 0)
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

static uint64_t hash(const char *path)
{
    uint64_t value = 0xcbf29ce484222325; /* FNV-1a */
    while (*path)
        value = (value ^ (unsigned char)*path++) * 0x100000001b3;
    return value;
}

static struct known *find_known(struct table *table, int fd, const char *path)
{
    uint64_t wanted = hash(path);
    for (size_t i = 0; i < table->count; i++)
        if (table->nodes[i].fd == fd && table->nodes[i].path == wanted)
            return &table->nodes[i];
    return NULL;
}

static bool has_path(const struct table *table, const char *path)
{
    uint64_t wanted = hash(path);
    for (size_t i = 0; i < table->count; i++)
        if (table->nodes[i].path == wanted)
            return true;
    return false;
}

/* Forgets what is not open any more: the number may come again as somebody else's. */
static void keep_open(struct table *table)
{
    size_t kept = 0;
    for (size_t i = 0; i < table->count; i++)
        if (table->nodes[i].open)
            table->nodes[kept++] = table->nodes[i];
    table->count = kept;
}

static void expect_closed(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        table->nodes[i].open = false;
}

/* A descriptor that is in neither table goes to `data`, where that is not NULL. */
static int note_descriptor(void *data, int fd, const char *path, struct error *err)
{
    struct table *to = data;
    struct known *known = find_known(&foreign, fd, path);
    if (!known)
        known = find_known(&drivers, fd, path);
    if (known)
        known->open = true;
    else if (to && to->count == MOST_KNOWN)
        return error_set(err, 0, "more than %d device nodes are open", MOST_KNOWN);
    else if (to) {
        to->nodes[to->count++] = (struct known){fd, true, hash(path)};
        sorts |= to == &drivers ? sort_bit(path) : 0;
    }
    return 0;
}

/* What is open now and in neither table is added to this one. *added: how many. With the lock. */
static bool look(struct table *to, size_t *added)
{
    struct error err = {0};
    size_t before = to->count;
    expect_closed(&foreign);
    expect_closed(&drivers);
    bool looked = visit_descriptors(note_descriptor, to, &err) == 0;
    if (added)
        *added = to->count - before;
    if (!looked)
        log_warn("who opens device nodes is not known: %s", err.reason);
    if (looked) {
        keep_open(&foreign);
        keep_open(&drivers);
    }
    return looked;
}

bool residue_enter(bool always)
{
    NOT_FROZEN();
    pthread_mutex_lock(&lock);
    bool watching = always || watched < MOST_WATCHED;
    /* With another thread in such a call, what is new may be that one's. */
    if (watching && inside++ == 0)
        unsure = !look(&foreign, NULL);
    watched += watching && !always;
    missed |= !watching;
    pthread_mutex_unlock(&lock);
    return watching;
}

bool residue_leave(bool watching)
{
    if (!watching)
        return false;
    NOT_FROZEN();
    pthread_mutex_lock(&lock);
    /* Where it is not known what was open before, nothing must be taken for the driver's. */
    size_t added;
    bool looked = look(unsure ? &foreign : &drivers, &added);
    inside--;
    pthread_mutex_unlock(&lock);
    return added > 0 || !looked;
}

bool residue_leave_all(void)
{
    NOT_FROZEN();
    size_t added = 0;
    bool looked = true;
    pthread_mutex_lock(&lock);
    gave_up = true;
    if (inside)
        looked = look(unsure ? &foreign : &drivers, &added);
    inside = 0;
    pthread_mutex_unlock(&lock);
    return added > 0 || !looked;
}

void residue_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    inside = 0;
}

/* What a driver opens when it is not watched is of the sort that it had open before; whose such a
 * node is, the release will show. Any other can't be a driver's. */
static bool is_foreign(const struct node *node)
{
    return (node->fd >= 0 && find_known(&foreign, node->fd, node->path)) ||
           !(missed || sorts & sort_bit(node->path));
}

int residue_foreign(struct error *err)
{
    struct residue open;
    if (residue_find(&open, err) != 0)
        return -1;
    const struct node *found = NULL;
    struct error ignored = {0};
    pthread_mutex_lock(&lock);
    expect_closed(&foreign);
    if (foreign.count && visit_descriptors(note_descriptor, NULL, &ignored) == 0)
        keep_open(&foreign);
    for (size_t i = 0; i < open.count && !found; i++)
        if (is_foreign(&open.nodes[i]))
            found = &open.nodes[i];
    pthread_mutex_unlock(&lock);
    if (found) {
        residue_describe(found, err->object, sizeof err->object);
        error_set(err, 0,
                  "no OpenCL driver opened it: GL, Vulkan, CUDA, VA-API or the program "
                  "itself holds the device");
        error_todo(err, "only the program can close it: end that use of the device, then "
                        "suspend again");
    }
    residue_finish(&open);
    return found ? -1 : 0;
}

/* Is it the driver's beyond doubt? A mapping is when only drivers have the node open. */
static bool is_drivers(const struct node *node, const struct residue *residue)
{
    if (node->fd >= 0)
        return find_known(&drivers, node->fd, node->path) != NULL;
    for (size_t i = 0; i < residue->count; i++) {
        const struct node *other = &residue->nodes[i];
        if (other->fd >= 0 && !strcmp(other->path, node->path) &&
            !find_known(&drivers, other->fd, other->path))
            return false;
    }
    return has_path(&drivers, node->path) && !has_path(&foreign, node->path);
}

size_t residue_take(const struct residue *residue, struct report *report)
{
    size_t taken = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < residue->count; i++)
        if (is_drivers(&residue->nodes[i], residue))
            taken += node_take(&residue->nodes[i], gave_up, report);
    pthread_mutex_unlock(&lock);
    return taken;
}
