/* SPDX-License-Identifier: Apache-2.0 */
/* Where an image goes: a file, a pipe or a socket. Little things are gathered, large ones go out
 * together with these in one call. A sink that fails raises no signal (SIGPIPE, SIGXFSZ). The
 * reader of a pipe may stop to read, with the program standing still: it is not waited for without
 * end. */
#ifndef SHADOWCL_SERIALIZE_IMAGE_SINK_H
#define SHADOWCL_SERIALIZE_IMAGE_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "shim/error.h"

#define IMAGE_SINK_BUFFER ((size_t)64 << 10)
#define IMAGE_SINK_PIECES 160 /* the most that image_sink_write takes */

#define IMAGE_SINK_STALL 30.0 /* s without a byte taken, after which a sink has failed */

struct image_sink {
    int fd;
    bool has_reader;             /* it is a pipe, a socket or the like */
    double stall;                /* s: IMAGE_SINK_STALL */
    bool (*is_over)(void *data); /* nobody wants it any more; NULL: that is not known */
    void *data;
    uint64_t sent;   /* bytes that have gone out */
    uint8_t *buffer; /* owned: IMAGE_SINK_BUFFER */
    size_t filled;   /* of it */
    double time;     /* s that lately sent bytes took */
    double timed;    /* of how many bytes */
};

int image_sink_init(struct image_sink *sink, int fd, struct error *err);
void image_sink_finish(struct image_sink *sink);
uint64_t image_sink_offset(const struct image_sink *sink); /* of what is put next */
int image_sink_put(struct image_sink *sink, const void *bytes, size_t size, struct error *err);
int image_sink_write(struct image_sink *sink, const struct iovec *pieces, int count,
                     struct error *err);
/* Over what went out before, at that place in the descriptor's file. */
int image_sink_overwrite(struct image_sink *sink, uint64_t place, struct iovec *pieces, int count,
                         struct error *err);
int image_sink_flush(struct image_sink *sink, struct error *err);
/* s that a byte takes, lately; 0: not known yet. */
double image_sink_cost(const struct image_sink *sink);

#endif
