/* SPDX-License-Identifier: Apache-2.0 */
/* Files that may be closed by the program: see own_file.h. */
#include "shim/own_file.h"

#include <sys/stat.h>
#include <unistd.h>

struct own_file own_file(int fd)
{
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0)
        return OWN_FILE_NONE;
    return (struct own_file){fd, status.st_dev, status.st_ino};
}

bool own_file_is(const struct own_file *file)
{
    struct stat status;
    return file->fd >= 0 && fstat(file->fd, &status) == 0 && status.st_dev == file->device &&
           status.st_ino == file->inode;
}

void own_file_close(struct own_file *file)
{
    if (own_file_is(file))
        close(file->fd);
    *file = OWN_FILE_NONE;
}
