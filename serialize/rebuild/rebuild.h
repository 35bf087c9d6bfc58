/* SPDX-License-Identifier: Apache-2.0 */
/* shadowcl-rebuild: the objects of an image file in a process of their own, without the program.
 * The command runs it, so that a driver that crashes or hangs takes nothing else with it. */
#ifndef SHADOWCL_SERIALIZE_REBUILD_REBUILD_H
#define SHADOWCL_SERIALIZE_REBUILD_REBUILD_H

#include <stdio.h>

#include "serialize/image_reader.h"
#include "serialize/load.h"
#include "shim/checkpoint.h"

struct rebuild {
    struct image_reader *reader;
    struct load *load;
    struct object **objects; /* owned array, in the order in which they are made */
    size_t count;
    struct report report;    /* its warnings: in what the device can do less */
    struct findings notes;   /* what is not looked at */
    struct findings missing; /* what the device does not have */
    uint64_t bytes;          /* of all contents */
    bool *same;              /* owned: of each contents, once read back */
    bool read_back;          /* all of them were */
    double load_ms, rebuild_ms, read_back_ms;
};

/* Have all contents an object that they fit? */
int contents_check(struct rebuild *it, struct error *err);
/* Before the objects are made: the bytes of those that lie in the host's memory. */
int contents_fill(struct rebuild *it, struct error *err);
/* Afterwards: the bytes of all others, chunk by chunk. */
int contents_upload(struct rebuild *it, struct error *err);
/* Reads all of them back through the driver, and compares the digests: it->same. */
int contents_read_back(struct rebuild *it, struct error *err);

/* One JSON object. 0, or -1 when it could not be written. */
int answer_print(struct rebuild *it, const struct error *err, FILE *to);

#endif
