/* SPDX-License-Identifier: Apache-2.0 */
/* The device's memory: a first-fit allocator whose books are in host memory, so that the device
 * holds contents and nothing else. The first page is a canary and never given away. */
#include "tests/driver/driver.h"

#include <stdlib.h>
#include <string.h>

#define ALIGNMENT ((size_t)256)
#define FREED 0xDB

static size_t align(size_t size)
{
    return (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

size_t heap_allocate(struct device *device, size_t size)
{
    struct block *block = malloc(sizeof *block);
    if (!block)
        return 0;
    pthread_mutex_lock(&device->lock);
    size_t limit = device_size(device) < device->mapped ? device_size(device) : device->mapped;
    size_t offset = PAGE;
    struct block **link = &device->blocks;
    for (; *link && (*link)->offset - offset < size; link = &(*link)->next)
        offset = align((*link)->offset + (*link)->size);
    if (offset > limit || limit - offset < size) {
        offset = 0;
        free(block);
    } else {
        *block = (struct block){offset, size, *link};
        *link = block;
    }
    pthread_mutex_unlock(&device->lock);
    return offset;
}

void heap_free(struct device *device, size_t offset)
{
    pthread_mutex_lock(&device->lock);
    struct block **link = &device->blocks;
    while (*link && (*link)->offset != offset)
        link = &(*link)->next;
    struct block *block = *link;
    if (block) {
        *link = block->next;
        if (node_present(device))
            memset(device->memory + block->offset, FREED, block->size);
        free(block);
    }
    pthread_mutex_unlock(&device->lock);
}

void heap_clear(struct device *device)
{
    while (device->blocks) {
        struct block *block = device->blocks;
        device->blocks = block->next;
        free(block);
    }
}
