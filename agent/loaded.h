/* SPDX-License-Identifier: Apache-2.0 */
/* An image file, open to be read, with its objects. */
#ifndef SHADOWCL_AGENT_LOADED_H
#define SHADOWCL_AGENT_LOADED_H

#include "serialize/image_reader.h"

typedef Shadowcl__Image__Object image_object;

struct loaded {
    const char *path;            /* borrowed */
    int fd;                      /* owned */
    struct image_reader *reader; /* owned */
    image_object **objects;      /* owned; in the order in which they are made again */
    size_t count;
    size_t *by_serial; /* owned: places in `objects` */
};

/* Links are not followed. Errors name the file and the offset. */
int loaded_open(struct loaded *loaded, const char *path, struct error *err);
/* All objects; their contents are not read. */
int loaded_read_objects(struct loaded *loaded, struct error *err);
void loaded_close(struct loaded *loaded);
/* NULL: there is none. */
const image_object *loaded_find(const struct loaded *loaded, uint64_t serial);
/* Puts the file's name in front of the offset; always -1. */
int loaded_name(const struct loaded *loaded, struct error *err);

/* "mem", "queue", ...; "unknown" where a newer version has made it. */
const char *loaded_kind(const image_object *object);

#endif
