/* SPDX-License-Identifier: Apache-2.0 */
/* Named as a vendor's part of EGL: uses a device node otherwise than by OpenCL. */
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>

int fake_gl_open(const char *path, void **mapping);

int fake_gl_open(const char *path, void **mapping)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    *mapping = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    return fd;
}
