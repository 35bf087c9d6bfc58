/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of the open device nodes: see residue_known.h. Tables, not lists on the heap: what
 * a driver opened must not be forgotten, nor what the program opened be taken for a driver's,
 * because memory is short. */
#include "shim/residue_known.h"

#include "shim/config.h"
#include "shim/log.h"
#include "shim/node_names.h"
#include "shim/residue_visit.h"

#define MOST_KNOWN 2048
#define MOST_DEVICES 64

static struct known nodes[MOST_KNOWN];
static size_t num_nodes;
static struct identity devices[MOST_DEVICES]; /* of which drivers have opened a node */
static size_t num_devices;
static uint64_t sorts; /* of nodes that drivers have opened, as bits: see sort_bit */

static uint64_t sort_bit(const char *path)
{
    int sort = node_name_sort(path, config.device_nodes);
    return sort < 0 ? 0 : UINT64_C(1) << (sort < 63 ? sort : 63);
}

bool known_device(const struct identity *of)
{
    for (size_t i = 0; i < num_devices; i++)
        if (identity_same(&devices[i], of))
            return true;
    return false;
}

bool known_sort(const char *path)
{
    return sorts & sort_bit(path);
}

/* A driver has opened it, as far as can be told. */
static void note_opened(const struct known *known, const char *path)
{
    sorts |= sort_bit(path);
    if (num_devices < MOST_DEVICES && !known_device(&known->of))
        devices[num_devices++] = known->of;
}

struct known *known_find(const struct node *node)
{
    for (size_t i = 0; i < num_nodes; i++)
        if (nodes[i].fd == node->fd && identity_same(&nodes[i].file, &node->file))
            return &nodes[i];
    return NULL;
}

static int note_descriptor(void *data, const struct node *node, struct error *err)
{
    const enum origin *origin = data;
    struct known *known = known_find(node);
    if (!known) {
        if (num_nodes == MOST_KNOWN)
            return error_set(err, 0, "more than %d device nodes are open", MOST_KNOWN);
        known = &nodes[num_nodes++];
        *known =
            (struct known){.fd = node->fd, .origin = *origin, .file = node->file, .of = node->of};
        if (*origin >= ORIGIN_BESIDE)
            note_opened(known, node->path);
    }
    known->open = true;
    return 0;
}

/* Forgets what is not open any more: the number may come again as somebody else's. */
static void keep_open(void)
{
    size_t kept = 0;
    for (size_t i = 0; i < num_nodes; i++)
        if (nodes[i].open)
            nodes[kept++] = nodes[i];
    num_nodes = kept;
}

bool known_look(enum origin origin, size_t *added)
{
    struct error err = {0};
    size_t before = num_nodes;
    for (size_t i = 0; i < num_nodes; i++)
        nodes[i].open = false;
    bool looked = residue_visit(note_descriptor, &origin, &err) == 0;
    *added = num_nodes - before;
    if (!looked)
        log_warn("who opens device nodes is not known: %s", err.reason);
    if (looked)
        keep_open();
    return looked;
}

void known_suspect(size_t added)
{
    for (size_t i = num_nodes - added; i < num_nodes; i++)
        nodes[i].suspect = true;
}

void known_alone(size_t added)
{
    for (size_t i = num_nodes - added; i < num_nodes; i++)
        if (nodes[i].origin == ORIGIN_BESIDE)
            nodes[i].origin = ORIGIN_CALL;
}
