/* SPDX-License-Identifier: Apache-2.0 */
/* An image's objects as a tree that a person can read: see image_tree.h. References are believed
 * only as far as they lead somewhere: what hangs on nothing is printed at the end. */
#include "agent/image_tree.h"

#include "agent/image_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_DEPTH = 64 }; /* sub-devices of sub-devices */

/* An object and what it hangs on. */
struct leaf {
    uint64_t parent; /* a serial; 0: none */
    const image_object *object;
    bool printed;
};

struct tree {
    const struct loaded *loaded;
    struct leaf *leaves; /* by parent, kind, serial */
    size_t count;
};

static uint64_t parent_of(const image_object *object)
{
    switch (object->kind_case) {
    case SHADOWCL__IMAGE__OBJECT__KIND_DEVICE:
        return object->device->parent ? object->device->parent : object->device->platform;
    case SHADOWCL__IMAGE__OBJECT__KIND_QUEUE:
        return object->queue->context;
    case SHADOWCL__IMAGE__OBJECT__KIND_MEM:
        return object->mem->parent ? object->mem->parent : object->mem->context;
    case SHADOWCL__IMAGE__OBJECT__KIND_SAMPLER:
        return object->sampler->context;
    case SHADOWCL__IMAGE__OBJECT__KIND_PROGRAM:
        return object->program->context;
    case SHADOWCL__IMAGE__OBJECT__KIND_KERNEL:
        return object->kernel->program;
    case SHADOWCL__IMAGE__OBJECT__KIND_COMMAND_BUFFER:
        return object->command_buffer->queue;
    case SHADOWCL__IMAGE__OBJECT__KIND_EVENT:
        return object->event->context;
    case SHADOWCL__IMAGE__OBJECT__KIND_SVM:
        return object->svm->context;
    default:
        return 0;
    }
}

/* How programs came to be is told with them. */
static bool is_told_elsewhere(const image_object *object)
{
    return object->kind_case == SHADOWCL__IMAGE__OBJECT__KIND_ORIGIN ||
           object->kind_case == SHADOWCL__IMAGE__OBJECT__KIND_RECIPE;
}

static int compare(uint64_t one, uint64_t other)
{
    return (one > other) - (one < other);
}

static int by_place(const void *a, const void *b)
{
    const struct leaf *one = a, *other = b;
    int order = compare(one->parent, other->parent);
    if (!order)
        order = compare(one->object->kind_case, other->object->kind_case);
    return order ? order : compare(one->object->serial, other->object->serial);
}

static size_t first_child(const struct tree *tree, uint64_t parent)
{
    size_t low = 0, high = tree->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tree->leaves[middle].parent < parent)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Each is printed once, and not too deep, so that it ends whatever refers to what. */
static void print_from(const struct tree *tree, struct leaf *leaf, int depth)
{
    const image_object *object = leaf->object;
    if (leaf->printed)
        return;
    leaf->printed = true;
    printf("%*s", 2 * depth, "");
    image_line_print(tree->loaded, object, 2 * depth);
    if (!object->serial || depth >= MAX_DEPTH)
        return;
    for (size_t i = first_child(tree, object->serial);
         i < tree->count && tree->leaves[i].parent == object->serial; i++)
        print_from(tree, &tree->leaves[i], depth + 1);
}

static void print_all(const struct tree *tree)
{
    for (size_t i = 0; i < tree->count && !tree->leaves[i].parent; i++)
        print_from(tree, &tree->leaves[i], 0);
    bool said = false;
    for (size_t i = 0; i < tree->count; i++) {
        if (tree->leaves[i].printed)
            continue;
        if (!said)
            puts("in none of these:");
        said = true;
        print_from(tree, &tree->leaves[i], 1);
    }
}

int image_tree_print(const struct loaded *loaded, struct error *err)
{
    struct tree tree = {.loaded = loaded};
    tree.leaves = calloc(loaded->count + 1, sizeof *tree.leaves);
    if (!tree.leaves)
        return error_set(err, ENOMEM, "can't make a tree of the objects");
    for (size_t i = 0; i < loaded->count; i++)
        if (!is_told_elsewhere(loaded->objects[i]))
            tree.leaves[tree.count++] = (struct leaf){.parent = parent_of(loaded->objects[i]),
                                                      .object = loaded->objects[i]};
    qsort(tree.leaves, tree.count, sizeof *tree.leaves, by_place);
    print_all(&tree);
    free(tree.leaves);
    return 0;
}
