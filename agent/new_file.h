/* SPDX-License-Identifier: Apache-2.0 */
/* A file that comes to be under its name as a whole, or not at all; and standard output in its
 * place. While somebody has such a file open that still needs it, it is in use (a shared flock on
 * its open description, which travels with it), and is not replaced. */
#ifndef SHADOWCL_AGENT_NEW_FILE_H
#define SHADOWCL_AGENT_NEW_FILE_H

#include "shim/error.h"

#include <limits.h>
#include <stdbool.h>

struct new_file {
    const char *path;             /* borrowed: as it was named; "standard output" */
    char name[NAME_MAX + 1];      /* in `dir` */
    char temporary[NAME_MAX + 1]; /* until it is kept */
    bool has_name;                /* the temporary one */
    bool is_stream;
    bool is_unblocked; /* it did not wait for room, and is not to, afterwards */
    int dir;           /* owned */
    int fd;            /* owned; mode 0600, for reading and writing, locked */
    int old;           /* owned, locked: the file that it is to replace; -1: there is none */
};

/* Makes it beside `path`, whose folder must be there. `stays_open`: it has a name from its first
 * moment, for a process that will have it open for long and be copied by CRIU; else it leaves
 * nothing behind whatever happens, where the filesystem can do that. */
int new_file_create(struct new_file *file, const char *path, bool stays_open, struct error *err);
/* Standard output, which is then no longer ours to print to: what is printed goes to standard
 * error. */
int new_file_take_output(struct new_file *file, struct error *err);
/* To the disk, and under its name. On failure it is to be discarded. */
int new_file_keep(struct new_file *file, struct error *err);
/* Also after new_file_keep: closes it. What is not kept is gone. */
void new_file_finish(struct new_file *file);

#endif
