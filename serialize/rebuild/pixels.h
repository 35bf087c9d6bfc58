/* SPDX-License-Identifier: Apache-2.0 */
/* Contents in pieces, to a device and back: of any size for buffers, whole rows for images. */
#ifndef SHADOWCL_SERIALIZE_REBUILD_PIXELS_H
#define SHADOWCL_SERIALIZE_REBUILD_PIXELS_H

#include "shim/error.h"
#include "state/mem.h"

/* A way through the contents of one object, from the first byte to the last. */
struct stream {
    struct mem *mem;
    size_t row;            /* of an image, bytes; 1 of a buffer */
    size_t at;             /* rows that have passed */
    unsigned char *buffer; /* owned: what is no whole row yet, or not yet taken */
    size_t held;           /* bytes of it */
};

int stream_open(struct stream *stream, struct mem *mem, struct error *err);
void stream_close(struct stream *stream);
/* The next bytes; at most a chunk at a time. */
int stream_write(struct stream *stream, const void *bytes, size_t size, struct error *err);
int stream_read(struct stream *stream, void *bytes, size_t size, struct error *err);

#endif
