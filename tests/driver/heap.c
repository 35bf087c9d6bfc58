/* SPDX-License-Identifier: Apache-2.0 */
/* The device's memory: a first-fit allocator whose books are in host memory, so that the device
 * holds contents and nothing else. The first page is a canary and never given away. What other
 * processes have of the device is known by the locks on their ranges of the node, which end with
 * them. */
#include "tests/driver/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT ((size_t)256)
#define FREED 0xDB

static size_t align(size_t size)
{
    return (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

static int lock_range(struct device *device, int command, struct flock *range, short type,
                      size_t offset, size_t size)
{
    *range = (struct flock){
        .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)offset, .l_len = (off_t)size};
    return fcntl(device->fd, command, range);
}

/* Returns 0 when the range is ours now, else where that of another process ends. A node without
 * locks has no other processes. */
static size_t claim(struct device *device, size_t offset, size_t size)
{
    struct flock range;
    while (lock_range(device, F_OFD_SETLK, &range, F_WRLCK, offset, size) < 0 &&
           (errno == EAGAIN || errno == EACCES)) {
        if (lock_range(device, F_OFD_GETLK, &range, F_WRLCK, offset, size) == 0 &&
            range.l_type != F_UNLCK)
            return range.l_len ? (size_t)(range.l_start + range.l_len) : device->mapped;
    }
    return 0;
}

static void disclaim(struct device *device, size_t offset, size_t size)
{
    struct flock range;
    lock_range(device, F_OFD_SETLK, &range, F_UNLCK, offset, size);
}

/* Moves *offset to the next gap among our own blocks; returns where a block there belongs. */
static struct block **next_gap(struct device *device, size_t *offset, size_t size)
{
    struct block **link = &device->blocks;
    for (; *link && (*link)->offset < *offset + size; link = &(*link)->next)
        if ((*link)->offset + (*link)->size > *offset)
            *offset = align((*link)->offset + (*link)->size);
    return link;
}

size_t heap_allocate(struct device *device, size_t size)
{
    struct block *block = malloc(sizeof *block);
    if (!block)
        return 0;
    pthread_mutex_lock(&device->lock);
    size_t limit = device_size(device) < device->mapped ? device_size(device) : device->mapped;
    size_t offset = PAGE, end;
    struct block **link;
    do {
        link = next_gap(device, &offset, size);
        bool fits = offset <= limit && limit - offset >= size;
        end = fits ? claim(device, offset, size) : 0;
        offset = !fits ? 0 : end ? align(end) : offset;
    } while (end);
    if (offset) {
        *block = (struct block){offset, size, *link};
        *link = block;
    } else {
        free(block);
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
        disclaim(device, block->offset, block->size);
        free(block);
    }
    pthread_mutex_unlock(&device->lock);
}

void heap_clear(struct device *device)
{
    while (device->blocks) {
        struct block *block = device->blocks;
        device->blocks = block->next;
        disclaim(device, block->offset, block->size);
        free(block);
    }
}
