/* SPDX-License-Identifier: Apache-2.0 */
/* The device node: a file whose bytes are the device's memory. It is opened and mapped when the
 * device gets its first context and let go with its last. */
#include "tests/driver/driver.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static bool look(const char *path, struct identity *identity, size_t *size)
{
    struct statx s;
    if (statx(AT_FDCWD, path, 0, STATX_INO | STATX_SIZE | STATX_BTIME, &s) < 0 || s.stx_size == 0)
        return false;
    identity->device = (uint64_t)s.stx_dev_major << 32 | s.stx_dev_minor;
    identity->inode = s.stx_ino;
    identity->born = 0;
    if (s.stx_mask & STATX_BTIME)
        identity->born = (uint64_t)s.stx_btime.tv_sec * 1000000000 + s.stx_btime.tv_nsec;
    *size = s.stx_size;
    return true;
}

static bool find(struct device *device, char *path, size_t space)
{
    if (device->bar)
        return bar_find(device->bar, path, space);
    return (size_t)snprintf(path, space, "%s", device->path) < space;
}

bool node_look(struct device *device, struct identity *identity, size_t *size)
{
    char path[NODE_PATH];
    return find(device, path, sizeof path) && look(path, identity, size);
}

bool same_identity(const struct identity *a, const struct identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->born == b->born;
}

bool node_present(struct device *device)
{
    struct identity identity;
    size_t size;
    if (!device->memory)
        return node_look(device, &identity, &size);
    return look(device->opened_path, &identity, &size) && same_identity(&identity, &device->opened);
}

bool device_present(struct device *device)
{
    pthread_mutex_lock(&device->lock);
    bool present = node_present(device);
    pthread_mutex_unlock(&device->lock);
    return present;
}

static cl_int open_and_map(struct device *device)
{
    size_t size;
    const char *path = device->opened_path;
    if (!find(device, device->opened_path, sizeof device->opened_path) ||
        !look(path, &device->opened, &size))
        return CL_OUT_OF_RESOURCES;
    /* A library that never looks again expects the device that it knows. */
    if (device->remembered && !same_identity(&device->opened, &device->first))
        return CL_OUT_OF_RESOURCES;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return CL_OUT_OF_RESOURCES;
    void *memory = MAP_FAILED;
    if (!device->bar || bar_enable(path))
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        close(fd);
        return CL_OUT_OF_RESOURCES;
    }
    device->fd = fd;
    device->memory = memory;
    device->mapped = size;
    if (device->line)
        device->line_fd = open(device->line, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
#ifdef TESTDRIVER_STICKY
    sticky_watch(device->line_fd >= 0 ? device->line_fd : fd);
#endif
    return CL_SUCCESS;
}

cl_int node_open(struct device *device)
{
    cl_int err = CL_SUCCESS;
    pthread_mutex_lock(&device->lock);
    if (!device->memory)
        err = open_and_map(device);
    else if (!node_present(device))
        err = CL_OUT_OF_RESOURCES;
    if (err == CL_SUCCESS)
        device->contexts++;
    pthread_mutex_unlock(&device->lock);
    return err;
}

void node_open_again(struct device *device)
{
    pthread_mutex_lock(&device->lock);
    if (device->memory && !device->again_fd) {
        int fd = open(device->opened_path, O_RDWR | O_CLOEXEC);
        void *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        device->again_fd = fd;
        device->again_memory = memory == MAP_FAILED ? NULL : memory;
        if (device->line)
            device->again_line_fd = open(device->line, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
#ifdef TESTDRIVER_STICKY
        sticky_watch(device->line ? device->again_line_fd : fd);
#endif
    }
    pthread_mutex_unlock(&device->lock);
}

#ifndef TESTDRIVER_STICKY
static void close_again(struct device *device)
{
    if (device->again_memory)
        munmap(device->again_memory, PAGE);
    if (device->again_fd > 0)
        close(device->again_fd);
    if (device->again_line_fd > 0)
        close(device->again_line_fd);
    device->again_memory = NULL;
    device->again_fd = device->again_line_fd = 0;
}
#endif

static void unmap_and_close(struct device *device)
{
    heap_clear(device);
#ifndef TESTDRIVER_STICKY
    close_again(device);
    munmap(device->memory, device->mapped);
    device->memory = NULL;
    close(device->fd);
    device->fd = -1;
    if (device->line_fd >= 0)
        close(device->line_fd);
    device->line_fd = -1;
#endif
}

void node_close(struct device *device)
{
    pthread_mutex_lock(&device->lock);
    if (--device->contexts == 0)
        unmap_and_close(device);
    pthread_mutex_unlock(&device->lock);
}

static bool any_context(void)
{
    unsigned contexts = 0;
    for (unsigned i = 0; i < num_devices; i++) {
        pthread_mutex_lock(&devices[i].lock);
        contexts += devices[i].contexts;
        pthread_mutex_unlock(&devices[i].lock);
    }
    return contexts;
}

/* pocl's worker may hold the last reference for a moment longer than the application. */
void nodes_settle(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < 1000 && any_context(); i++)
        nanosleep(&pause, NULL);
}
