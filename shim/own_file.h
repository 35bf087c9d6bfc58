/* SPDX-License-Identifier: Apache-2.0 */
/* A file that we keep open in a program that may close what it does not know (closefrom): the
 * number is somebody else's then. */
#ifndef SHADOWCL_SHIM_OWN_FILE_H
#define SHADOWCL_SHIM_OWN_FILE_H

#include <stdbool.h>
#include <sys/types.h>

struct own_file {
    int fd; /* -1: none */
    dev_t device;
    ino_t inode;
};

#define OWN_FILE_NONE ((struct own_file){.fd = -1})

/* -1 makes one that is none. */
struct own_file own_file(int fd);
/* Is it open, and still what it was? */
bool own_file_is(const struct own_file *file);
/* Makes it none; what is not ours any more is left alone. */
void own_file_close(struct own_file *file);

#endif
