/* SPDX-License-Identifier: Apache-2.0 */
/* Writes an image file: see image_writer.h. */
#include "serialize/image_writer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.pb-c.h"
#include "serialize/image_equal.h"
#include "serialize/image_error.h"
#include "serialize/image_file.h"
#include "serialize/image_hash.h"
#include "serialize/image_pack.h"
#include "serialize/image_sink.h"

struct entry {
    uint64_t serial;
    uint64_t offset;
};

struct entries {
    struct entry *all; /* owned */
    size_t count;
    size_t room;
};

struct image_writer {
    struct image_sink sink;
    struct image_packer packer;
    struct image_equal equal;
    struct image_buffers buffers;
    struct image_file file; /* what was written, if that can be read */
    bool readable;
    bool failed; /* and the file is of no use */
    struct error why;
    uint8_t *earlier; /* owned: an earlier chunk, to compare */
    struct entries objects;
    struct entries contents;
    uint64_t about;
    uint64_t records;
    struct image_summary summary;
    /* The contents that were begun. */
    bool begun;
    uint64_t serial;
    uint64_t size;
    uint64_t done;
    size_t num_chunks;
    uint64_t *data;        /* owned: the chunks' records */
    uint64_t (*hashes)[2]; /* owned */
};

static int fail(struct image_writer *writer, struct error *err)
{
    writer->failed = true;
    writer->why = *err;
    return -1;
}

static int no_memory(struct image_writer *writer, struct error *err)
{
    return image_fail(err, image_sink_offset(&writer->sink), ENOMEM, "writing");
}

/* The head of a record that begins here; its payload comes next. */
static int put_record(struct image_writer *writer, enum image_record_type type, uint64_t length,
                      uint64_t checksum, struct error *err)
{
    struct image_record record = {
        .mark = IMAGE_RECORD_MARK, .type = type, .length = length, .checksum = checksum};
    record.own = image_record_own(&record, image_sink_offset(&writer->sink), writer->file.id);
    writer->records++;
    return image_sink_put(&writer->sink, &record, sizeof record, err);
}

static int put_message(struct image_writer *writer, enum image_record_type type,
                       const ProtobufCMessage *message, struct error *err)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > IMAGE_MESSAGE)
        return image_fail(err, image_sink_offset(&writer->sink), 0,
                          "an object takes %zu bytes, and %llu are the most", size,
                          (unsigned long long)IMAGE_MESSAGE);
    uint8_t *bytes = malloc(size ? size : 1);
    if (!bytes)
        return no_memory(writer, err);
    protobuf_c_message_pack(message, bytes);
    int ret = put_record(writer, type, size, image_checksum(bytes, size), err);
    if (ret == 0)
        ret = image_sink_put(&writer->sink, bytes, size, err);
    free(bytes);
    return ret;
}

static int put_header(struct image_writer *writer, struct error *err)
{
    struct image_header header = {.magic = IMAGE_MAGIC,
                                  .major = IMAGE_MAJOR,
                                  .minor = IMAGE_MINOR,
                                  .size = sizeof header,
                                  .chunk = IMAGE_CHUNK};
    if (getrandom(writer->file.id, sizeof writer->file.id, 0) < 0)
        return image_fail(err, 0, errno, "getrandom");
    memcpy(header.id, writer->file.id, sizeof header.id);
    header.checksum = image_checksum(&header, offsetof(struct image_header, checksum));
    return image_sink_put(&writer->sink, &header, sizeof header, err);
}

/* A file that can be read at offsets too. */
static void look_at_sink(struct image_writer *writer, int fd)
{
    struct stat status;
    off_t base = lseek(fd, 0, SEEK_CUR);
    writer->file.fd = fd;
    writer->file.base = base < 0 ? 0 : (uint64_t)base;
    writer->readable = base >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
                       (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
}

int image_writer_create(struct image_writer **writer, int fd, enum image_compression compression,
                        struct error *err)
{
    struct image_writer *made = calloc(1, sizeof *made);
    if (!made)
        return image_fail(err, 0, ENOMEM, "writing");
    made->packer.compression = compression;
    look_at_sink(made, fd);
    if (image_sink_init(&made->sink, fd, err) < 0 || put_header(made, err) < 0) {
        image_writer_destroy(made);
        return -1;
    }
    *writer = made;
    return 0;
}

void image_writer_wait_until(struct image_writer *writer, bool (*is_over)(void *data), void *data,
                             double stall)
{
    writer->sink.is_over = is_over;
    writer->sink.data = data;
    if (stall > 0)
        writer->sink.stall = stall;
}

void image_writer_destroy(struct image_writer *writer)
{
    if (!writer)
        return;
    image_sink_finish(&writer->sink);
    image_packer_finish(&writer->packer);
    image_equal_finish(&writer->equal);
    image_buffers_finish(&writer->buffers);
    free(writer->earlier);
    free(writer->objects.all);
    free(writer->contents.all);
    free(writer->data);
    free(writer->hashes);
    free(writer);
}

/* What failed once fails again. */
static int check(const struct image_writer *writer, struct error *err)
{
    if (!writer->failed)
        return 0;
    *err = writer->why;
    return -1;
}

int image_writer_about(struct image_writer *writer, const ProtobufCMessage *about,
                       struct error *err)
{
    assert(!writer->records);
    if (check(writer, err) < 0)
        return -1;
    writer->about = image_sink_offset(&writer->sink);
    return put_message(writer, IMAGE_ABOUT, about, err) < 0 ? fail(writer, err) : 0;
}

static int add_entry(struct image_writer *writer, struct entries *entries, uint64_t serial,
                     struct error *err)
{
    if (entries->count == entries->room) {
        size_t room = entries->room ? 2 * entries->room : 64;
        struct entry *all = realloc(entries->all, room * sizeof *all);
        if (!all)
            return no_memory(writer, err);
        entries->all = all;
        entries->room = room;
    }
    entries->all[entries->count++] = (struct entry){serial, image_sink_offset(&writer->sink)};
    return 0;
}

int image_writer_object(struct image_writer *writer, uint64_t serial,
                        const ProtobufCMessage *object, struct error *err)
{
    assert(writer->records && !writer->begun);
    if (check(writer, err) < 0)
        return -1;
    if (add_entry(writer, &writer->objects, serial, err) < 0 ||
        put_message(writer, IMAGE_OBJECT, object, err) < 0)
        return fail(writer, err);
    return 0;
}

int image_writer_begin(struct image_writer *writer, uint64_t serial, uint64_t size,
                       struct error *err)
{
    assert(writer->records && !writer->begun);
    if (check(writer, err) < 0)
        return -1;
    uint64_t chunks = size / IMAGE_CHUNK + !!(size % IMAGE_CHUNK);
    writer->begun = true;
    writer->serial = serial;
    writer->size = size;
    writer->done = 0;
    writer->num_chunks = 0;
    writer->data = calloc(chunks ? chunks : 1, sizeof *writer->data);
    writer->hashes = calloc(chunks ? chunks : 1, sizeof *writer->hashes);
    if (!writer->data || !writer->hashes) {
        no_memory(writer, err);
        return fail(writer, err);
    }
    return 0;
}

/* Reads back what was written at `offset`: 1 if it is these bytes, 0 if it isn't. Equal hashes
 * alone are believed of no one's data. */
static int is_same(struct image_writer *writer, uint64_t offset, const void *bytes, size_t size,
                   struct error *err)
{
    struct image_stored stored;
    if (image_sink_flush(&writer->sink, err) < 0)
        return -1;
    if (!writer->earlier && !(writer->earlier = malloc(IMAGE_CHUNK)))
        return no_memory(writer, err);
    writer->file.size = writer->sink.sent;
    if (image_file_stored(&writer->file, offset, size, &stored, err) < 0 ||
        image_file_chunk(&writer->file, &stored, &writer->buffers, writer->earlier, err) < 0)
        return -1;
    return !memcmp(writer->earlier, bytes, size);
}

/* *offset: of an equal chunk; 0: there is none. */
static int find_equal(struct image_writer *writer, const uint64_t hash[2], const void *bytes,
                      size_t size, uint64_t *offset, struct error *err)
{
    *offset = writer->readable ? image_equal_find(&writer->equal, hash) : 0;
    if (!*offset)
        return 0;
    int same = is_same(writer, *offset, bytes, size, err);
    if (same <= 0)
        *offset = 0;
    return same < 0 ? -1 : 0;
}

static int put_data(struct image_writer *writer, const struct image_pages *pages,
                    const uint64_t hash[2], const struct image_packed *packed, struct error *err)
{
    struct {
        struct image_data data;
        uint8_t map[IMAGE_MAP_BYTES];
    } head = {.data = {.size = (uint32_t)pages->size,
                       .codec = (uint8_t)packed->codec,
                       .paged = pages->stored < pages->size,
                       .stored = packed->checksum,
                       .hash = {hash[0], hash[1]}}};
    size_t size = sizeof head.data + (head.data.paged ? image_pages_map_bytes(pages->size) : 0);
    uint64_t length = size;
    memcpy(head.map, pages->map, sizeof head.map);
    for (int i = 0; i < packed->count; i++)
        length += packed->runs[i].iov_len;
    if (put_record(writer, IMAGE_DATA, length, image_checksum(&head, size), err) < 0 ||
        image_sink_put(&writer->sink, &head, size, err) < 0)
        return -1;
    return image_sink_write(&writer->sink, packed->runs, packed->count, err);
}

static int store(struct image_writer *writer, const struct image_pages *pages, const void *bytes,
                 const uint64_t hash[2], uint64_t *offset, struct error *err)
{
    struct image_packed packed;
    if (find_equal(writer, hash, bytes, pages->size, offset, err) < 0)
        return -1;
    if (*offset) {
        writer->summary.equal_bytes += pages->stored;
        return 0;
    }
    if (image_packer_pack(&writer->packer, pages, bytes, image_sink_cost(&writer->sink), &packed) <
        0)
        return no_memory(writer, err);
    *offset = image_sink_offset(&writer->sink);
    if (writer->readable && image_equal_add(&writer->equal, hash, *offset) < 0)
        return no_memory(writer, err);
    return put_data(writer, pages, hash, &packed, err);
}

int image_writer_chunk(struct image_writer *writer, const void *bytes, size_t size,
                       struct error *err)
{
    struct image_pages pages;
    assert(writer->begun && size && size <= writer->size - writer->done);
    assert(size == IMAGE_CHUNK || size == writer->size - writer->done);
    if (check(writer, err) < 0)
        return -1;
    uint64_t *hash = writer->hashes[writer->num_chunks];
    image_pages_find(&pages, bytes, size);
    writer->summary.contents_bytes += size;
    writer->summary.zero_bytes += size - pages.stored;
    if (!pages.stored) {
        image_hash_zeros(size, hash);
    } else {
        image_hash(bytes, size, hash);
        if (store(writer, &pages, bytes, hash, &writer->data[writer->num_chunks], err) < 0)
            return fail(writer, err);
    }
    writer->num_chunks++;
    writer->done += size;
    return 0;
}

int image_writer_end(struct image_writer *writer, struct error *err)
{
    uint64_t digest[2];
    assert(writer->begun && writer->done == writer->size);
    if (check(writer, err) < 0)
        return -1;
    Shadowcl__Image__Contents message = SHADOWCL__IMAGE__CONTENTS__INIT;
    image_digest(*writer->hashes, writer->num_chunks, digest);
    message.object = writer->serial;
    message.size = writer->size;
    message.n_data = writer->num_chunks;
    message.data = writer->data;
    message.digest_low = digest[0];
    message.digest_high = digest[1];
    if (add_entry(writer, &writer->contents, writer->serial, err) < 0 ||
        put_message(writer, IMAGE_CONTENTS, &message.base, err) < 0)
        return fail(writer, err);
    free(writer->data);
    free(writer->hashes);
    writer->data = NULL;
    writer->hashes = NULL;
    writer->begun = false;
    return 0;
}

static int compare_serials(const void *a, const void *b)
{
    uint64_t one = ((const struct entry *)a)->serial, other = ((const struct entry *)b)->serial;
    return (one > other) - (one < other);
}

/* Messages for the index, and pointers to them, one behind the other in one block. */
static Shadowcl__Image__IndexEntry **make_entries(const struct entries *entries)
{
    Shadowcl__Image__IndexEntry **list =
        malloc(entries->count * (sizeof *list + sizeof **list) + 1);
    if (!list)
        return NULL;
    Shadowcl__Image__IndexEntry *messages = (void *)(list + entries->count);
    for (size_t i = 0; i < entries->count; i++) {
        shadowcl__image__index_entry__init(&messages[i]);
        messages[i].serial = entries->all[i].serial;
        messages[i].offset = entries->all[i].offset;
        list[i] = &messages[i];
    }
    return list;
}

static int put_index(struct image_writer *writer, struct error *err)
{
    Shadowcl__Image__Index index = SHADOWCL__IMAGE__INDEX__INIT;
    if (writer->contents.count)
        qsort(writer->contents.all, writer->contents.count, sizeof *writer->contents.all,
              compare_serials);
    index.n_objects = writer->objects.count;
    index.objects = make_entries(&writer->objects);
    index.n_contents = writer->contents.count;
    index.contents = make_entries(&writer->contents);
    index.about = writer->about;
    int ret = index.objects && index.contents ? put_message(writer, IMAGE_INDEX, &index.base, err)
                                              : no_memory(writer, err);
    free(index.objects);
    free(index.contents);
    return ret;
}

static int put_end(struct image_writer *writer, uint64_t index, struct error *err)
{
    struct image_end end = {.index = index, .records = writer->records};
    memcpy(end.id, writer->file.id, sizeof end.id);
    if (put_record(writer, IMAGE_END, sizeof end, image_checksum(&end, sizeof end), err) < 0)
        return -1;
    return image_sink_put(&writer->sink, &end, sizeof end, err);
}

int image_writer_finish(struct image_writer *writer, struct image_summary *summary,
                        struct error *err)
{
    assert(writer->records && !writer->begun);
    if (check(writer, err) < 0)
        return -1;
    uint64_t index = image_sink_offset(&writer->sink);
    if (put_index(writer, err) < 0 || put_end(writer, index, err) < 0 ||
        image_sink_flush(&writer->sink, err) < 0)
        return fail(writer, err);
    writer->summary.file_bytes = writer->sink.sent;
    if (summary)
        *summary = writer->summary;
    return 0;
}
