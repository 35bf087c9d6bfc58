/* SPDX-License-Identifier: Apache-2.0 */
/* What can be read of an image at an offset: see image_file.h. */
#include "serialize/image_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "serialize/image_error.h"
#include "serialize/image_hash.h"

_Static_assert(sizeof(struct image_header) == 64, "docs/image-format.md");
_Static_assert(sizeof(struct image_record) == 32, "docs/image-format.md");
_Static_assert(sizeof(struct image_data) == 32, "docs/image-format.md");
_Static_assert(sizeof(struct image_end) == 32, "docs/image-format.md");

uint64_t image_record_own(const struct image_record *record, uint64_t offset, const uint8_t id[16])
{
    uint8_t bytes[offsetof(struct image_record, own) + sizeof offset + 16];
    uint8_t *next = bytes;
    memcpy(next, record, offsetof(struct image_record, own));
    next += offsetof(struct image_record, own);
    memcpy(next, &offset, sizeof offset);
    memcpy(next + sizeof offset, id, 16);
    return image_checksum(bytes, sizeof bytes);
}

int image_file_read(const struct image_file *file, uint64_t offset, void *to, size_t size,
                    struct error *err)
{
    uint8_t *next = to;
    while (size) {
        ssize_t got = pread(file->fd, next, size, (off_t)(file->base + offset));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return image_fail(err, offset, errno, "read");
        if (!got)
            return image_damaged(err, offset, "the file ends here: it was cut short");
        next += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return 0;
}

static int check_record(const struct image_file *file, uint64_t offset,
                        const struct image_record *record, struct error *err)
{
    if (record->mark != IMAGE_RECORD_MARK)
        return image_damaged(err, offset, "no record begins here");
    if (record->own != image_record_own(record, offset, file->id))
        return image_damaged(err, offset, "the checksum of the record's head is wrong");
    if (record->length > file->size - offset - sizeof *record)
        return image_damaged(err, offset, "the record goes beyond the end of the file");
    return 0;
}

/* There is room for `size` bytes. */
static int check_place(const struct image_file *file, uint64_t offset, size_t size,
                       struct error *err)
{
    if (offset <= file->size && file->size - offset >= size)
        return 0;
    return image_damaged(err, offset, "a record should begin here, and the file has %llu bytes",
                         (unsigned long long)file->size);
}

int image_file_record(const struct image_file *file, uint64_t offset, struct image_record *record,
                      struct error *err)
{
    if (check_place(file, offset, sizeof *record, err) < 0 ||
        image_file_read(file, offset, record, sizeof *record, err) < 0)
        return -1;
    return check_record(file, offset, record, err);
}

/* The beginning of a data record, as it lies in the file. */
struct head {
    struct image_record record;
    struct image_data data;
    uint8_t map[IMAGE_MAP_BYTES];
};

_Static_assert(offsetof(struct head, map) ==
                   sizeof(struct image_record) + sizeof(struct image_data),
               "no gaps");

/* Of the payload's head, without believing it yet. */
static size_t head_size(const struct image_data *data)
{
    return sizeof *data + (data->paged ? image_pages_map_bytes(data->size) : 0);
}

static int check_data(const struct head *head, uint64_t offset, size_t size, struct error *err)
{
    const struct image_data *data = &head->data;
    uint64_t length = head->record.length;
    if (head->record.type != IMAGE_DATA || length < sizeof *data)
        return image_damaged(err, offset, "contents should be here, and it is another record");
    if (!data->size || data->size > IMAGE_CHUNK || length < head_size(data) ||
        head->record.checksum != image_checksum(data, head_size(data)))
        return image_damaged(err, offset, "the checksum of the chunk's head is wrong");
    if (size && data->size != size)
        return image_damaged(err, offset, "the chunk has %u bytes, and %zu are wanted", data->size,
                             size);
    if (data->codec > IMAGE_ZSTD || data->paged > 1)
        return image_damaged(err, offset, "the chunk is stored in a way that is not known (%u, %u)",
                             data->codec, data->paged);
    return 0;
}

/* What is stored is exactly the pages, or less than those. */
static int check_length(const struct image_stored *stored, uint64_t length, struct error *err)
{
    size_t pages = stored->pages.stored;
    if (stored->data.codec == IMAGE_RAW ? length == pages : length < pages)
        return 0;
    return image_damaged(err, stored->offset, "%llu bytes are stored of pages that have %zu",
                         (unsigned long long)length, pages);
}

int image_file_stored(const struct image_file *file, uint64_t offset, size_t size,
                      struct image_stored *stored, struct error *err)
{
    struct head head = {0};
    size_t want = sizeof head;
    if (check_place(file, offset, offsetof(struct head, map), err) < 0)
        return -1;
    if (file->size - offset < want)
        want = (size_t)(file->size - offset);
    if (image_file_read(file, offset, &head, want, err) < 0 ||
        check_record(file, offset, &head.record, err) < 0 ||
        check_data(&head, offset, size, err) < 0)
        return -1;
    stored->data = head.data;
    stored->offset = offset;
    stored->begin = offset + sizeof head.record + head_size(&head.data);
    if (!head.data.paged)
        image_pages_fill(&stored->pages, head.data.size);
    else if (image_pages_read(&stored->pages, head.data.size, head.map) < 0)
        return image_damaged(err, offset, "the chunk's map has more pages than the chunk");
    uint64_t length = head.record.length - head_size(&head.data);
    if (check_length(stored, length, err) < 0)
        return -1;
    stored->length = (size_t)length;
    return 0;
}

static int need_buffer(uint8_t **buffer, uint64_t offset, struct error *err)
{
    if (!*buffer)
        *buffer = malloc(IMAGE_CHUNK);
    return *buffer ? 0 : image_fail(err, offset, ENOMEM, "a chunk to read into");
}

/* At most as many bytes come of it as the pages have. */
static int decompress(const struct image_file *file, const struct image_stored *stored,
                      struct image_buffers *buffers, void *to, struct error *err)
{
    if (need_buffer(&buffers->compressed, stored->offset, err) < 0)
        return -1;
    if (!buffers->zstd && !(buffers->zstd = ZSTD_createDCtx()))
        return image_fail(err, stored->offset, ENOMEM, "zstd");
    if (image_file_read(file, stored->begin, buffers->compressed, stored->length, err) < 0)
        return -1;
    if (stored->data.stored != image_checksum(buffers->compressed, stored->length))
        return image_damaged(err, stored->offset, "the checksum of the compressed bytes is wrong");
    size_t got = ZSTD_decompressDCtx(buffers->zstd, to, stored->pages.stored, buffers->compressed,
                                     stored->length);
    if (ZSTD_isError(got))
        return image_damaged(err, stored->offset, "zstd: %s", ZSTD_getErrorName(got));
    if (got != stored->pages.stored)
        return image_damaged(err, stored->offset,
                             "%zu bytes were compressed of pages that have %zu", got,
                             stored->pages.stored);
    return 0;
}

static int read_pages(const struct image_file *file, const struct image_stored *stored,
                      struct image_buffers *buffers, void *to, struct error *err)
{
    if (stored->data.codec == IMAGE_ZSTD)
        return decompress(file, stored, buffers, to, err);
    return image_file_read(file, stored->begin, to, stored->length, err);
}

int image_file_chunk(const struct image_file *file, const struct image_stored *stored,
                     struct image_buffers *buffers, void *to, struct error *err)
{
    uint64_t hash[2];
    if (!stored->data.paged) {
        if (read_pages(file, stored, buffers, to, err) < 0)
            return -1;
    } else {
        if (need_buffer(&buffers->packed, stored->offset, err) < 0 ||
            read_pages(file, stored, buffers, buffers->packed, err) < 0)
            return -1;
        image_pages_spread(&stored->pages, buffers->packed, to);
    }
    image_hash(to, stored->data.size, hash);
    if (hash[0] != stored->data.hash[0] || hash[1] != stored->data.hash[1])
        return image_damaged(err, stored->offset, "the chunk's bytes are not what its hash says");
    return 0;
}

void image_buffers_finish(struct image_buffers *buffers)
{
    free(buffers->packed);
    free(buffers->compressed);
    ZSTD_freeDCtx(buffers->zstd);
    *buffers = (struct image_buffers){0};
}
