/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of the open device nodes, for residue_owner.c, whose lock guards it all. */
#ifndef SHADOWCL_SHIM_RESIDUE_KNOWN_H
#define SHADOWCL_SHIM_RESIDUE_KNOWN_H

#include <stdbool.h>
#include <stddef.h>

#include "shim/residue.h"

/* What is known of a descriptor. */
enum origin {
    ORIGIN_BEFORE,   /* it was there when no driver was */
    ORIGIN_MEANTIME, /* it came while drivers were there, outside of the calls that are watched */
    ORIGIN_BESIDE,   /* in such a call, but other threads ran as well */
    ORIGIN_CALL,     /* in such a call, and only the driver ran */
};

struct known {
    int fd;
    enum origin origin;
    bool open;     /* at the last look */
    bool suspect;  /* others than drivers may have opened it: their libraries were there */
    bool outlived; /* the drivers had let go of what they do let go, and it was still there */
    struct identity file, of; /* as struct node has them */
};

/* What is open now and was not known is of this origin. *added: how many that is. */
bool known_look(enum origin origin, size_t *added);
/* Of the last that were added: */
void known_suspect(size_t added);
void known_alone(size_t added); /* what came beside other threads did not: none ran */
/* As the last look knows it; NULL for what it does not, and for mappings. */
struct known *known_find(const struct node *node);
/* Has a driver opened a node of that device; of that sort? */
bool known_device(const struct identity *of);
bool known_sort(const char *path);

#endif
