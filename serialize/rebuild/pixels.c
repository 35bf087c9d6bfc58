/* SPDX-License-Identifier: Apache-2.0 */
/* Contents in pieces: see pixels.h. Each is waited for: one chunk is in memory at a time. */
#include "serialize/rebuild/pixels.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "serialize/image_layout.h"
#include "shim/objects.h"

/* Rows that fit into a chunk, one at least. */
static size_t rows_at_once(const struct stream *stream)
{
    return stream->row < IMAGE_CHUNK ? IMAGE_CHUNK / stream->row : 1;
}

int stream_open(struct stream *stream, struct mem *mem, struct error *err)
{
    *stream = (struct stream){.mem = mem, .row = 1};
    if (!mem->image)
        return 0;
    stream->row = mem->image->element * mem->image->extent[0];
    stream->buffer = malloc(IMAGE_CHUNK + rows_at_once(stream) * stream->row);
    if (stream->buffer)
        return 0;
    object_describe(&mem->object, err->object, sizeof err->object);
    return error_set(err, 0, "there is no memory for a row of it, %zu bytes", stream->row);
}

void stream_close(struct stream *stream)
{
    free(stream->buffer);
    stream->buffer = NULL;
}

static int failed(const struct mem *mem, const char *call, cl_int status, struct error *err)
{
    object_describe(&mem->object, err->object, sizeof err->object);
    error_set(err, 0, "%s failed (%d)", call, status);
    return error_todo(err, "look at the driver's own messages");
}

static int copy_region(const struct stream *stream, const size_t origin[3], const size_t region[3],
                       void *bytes, bool up, struct error *err)
{
    const struct mem *mem = stream->mem;
    const struct driver *driver = mem->object.driver;
    cl_command_queue queue = mem->context->copier;
    cl_int status = up ? driver->clEnqueueWriteImage(queue, mem_real(mem), CL_TRUE, origin, region,
                                                     0, 0, bytes, 0, NULL, NULL)
                       : driver->clEnqueueReadImage(queue, mem_real(mem), CL_TRUE, origin, region,
                                                    0, 0, bytes, 0, NULL, NULL);
    return status == CL_SUCCESS
               ? 0
               : failed(mem, up ? "clEnqueueWriteImage" : "clEnqueueReadImage", status, err);
}

/* The next rows: whole slices where there are some, else the rest of one. */
static int copy_rows(struct stream *stream, unsigned char *bytes, size_t rows, bool up,
                     struct error *err)
{
    const size_t *extent = stream->mem->image->extent;
    while (rows) {
        size_t y = stream->at % extent[1], z = stream->at / extent[1];
        size_t slices = y ? 0 : rows / extent[1], part = extent[1] - y;
        if (part > rows)
            part = rows;
        size_t count = slices ? slices * extent[1] : part;
        const size_t origin[3] = {0, y, z};
        const size_t region[3] = {extent[0], slices ? extent[1] : part, slices ? slices : 1};
        if (copy_region(stream, origin, region, bytes, up, err) != 0)
            return -1;
        stream->at += count;
        bytes += count * stream->row;
        rows -= count;
    }
    return 0;
}

static int copy_bytes(struct stream *stream, void *bytes, size_t size, bool up, struct error *err)
{
    const struct mem *mem = stream->mem;
    const struct driver *driver = mem->object.driver;
    cl_command_queue queue = mem->context->copier;
    cl_int status = up ? driver->clEnqueueWriteBuffer(queue, mem_real(mem), CL_TRUE, stream->at,
                                                      size, bytes, 0, NULL, NULL)
                       : driver->clEnqueueReadBuffer(queue, mem_real(mem), CL_TRUE, stream->at,
                                                     size, bytes, 0, NULL, NULL);
    stream->at += size;
    return status == CL_SUCCESS
               ? 0
               : failed(mem, up ? "clEnqueueWriteBuffer" : "clEnqueueReadBuffer", status, err);
}

int stream_write(struct stream *stream, const void *bytes, size_t size, struct error *err)
{
    if (context_copier(stream->mem->context, err) != 0)
        return -1;
    if (!stream->mem->image)
        return copy_bytes(stream, (void *)bytes, size, true, err);
    memcpy(stream->buffer + stream->held, bytes, size);
    stream->held += size;
    size_t rows = stream->held / stream->row, taken = rows * stream->row;
    if (copy_rows(stream, stream->buffer, rows, true, err) != 0)
        return -1;
    stream->held -= taken;
    memmove(stream->buffer, stream->buffer + taken, stream->held);
    return 0;
}

int stream_read(struct stream *stream, void *bytes, size_t size, struct error *err)
{
    if (context_copier(stream->mem->context, err) != 0)
        return -1;
    if (!stream->mem->image)
        return copy_bytes(stream, bytes, size, false, err);
    size_t total = stream->mem->image->extent[1] * stream->mem->image->extent[2];
    while (stream->held < size) {
        size_t rows = rows_at_once(stream), left = total - stream->at;
        if (rows > left)
            rows = left;
        if (copy_rows(stream, stream->buffer + stream->held, rows, false, err) != 0)
            return -1;
        stream->held += rows * stream->row;
    }
    memcpy(bytes, stream->buffer, size);
    stream->held -= size;
    memmove(stream->buffer, stream->buffer + size, stream->held);
    return 0;
}
