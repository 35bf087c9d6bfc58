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
#include "serialize/image_draft.h"
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
    bool rewritable; /* at offsets */
    bool failed;     /* and the file is of no use */
    struct error why;
    uint8_t *chunk; /* owned: an earlier one, to compare */
    struct entries objects;
    struct entries contents;
    uint64_t about;
    uint64_t records;
    struct image_summary summary;
    struct image_draft *begun;         /* owned; NULL: no contents are */
    const struct image_draft *earlier; /* of the same object; in `drafts` */
    struct image_drafts drafts;        /* set aside */
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
    writer->rewritable = writer->readable && !(fcntl(fd, F_GETFL) & O_APPEND);
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
    free(writer->chunk);
    free(writer->objects.all);
    free(writer->contents.all);
    image_draft_destroy(writer->begun);
    image_drafts_finish(&writer->drafts);
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
    writer->begun = image_draft_create(serial, size);
    writer->earlier = image_drafts_find(&writer->drafts, serial);
    if (writer->begun)
        return 0;
    no_memory(writer, err);
    return fail(writer, err);
}

/* Reads back what was written at `offset`: 1 if it is these bytes, 0 if it isn't. Equal hashes
 * alone are believed of no one's data. */
static int is_same(struct image_writer *writer, uint64_t offset, const void *bytes, size_t size,
                   struct error *err)
{
    struct image_stored stored;
    if (image_sink_flush(&writer->sink, err) < 0)
        return -1;
    if (!writer->chunk && !(writer->chunk = malloc(IMAGE_CHUNK)))
        return no_memory(writer, err);
    writer->file.size = writer->sink.sent;
    if (image_file_stored(&writer->file, offset, size, &stored, err) < 0 ||
        image_file_chunk(&writer->file, &stored, &writer->buffers, writer->chunk, err) < 0)
        return -1;
    return !memcmp(writer->chunk, bytes, size);
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

/* A data record, all but its stored bytes. */
struct head {
    struct image_record record;
    struct image_data data;
    uint8_t map[IMAGE_MAP_BYTES];
};

/* Bytes of it behind the record. */
static size_t head_size(const struct image_data *data)
{
    return sizeof *data + (data->paged ? image_pages_map_bytes(data->size) : 0);
}

static void make_head(struct head *head, const struct image_pages *pages, const uint64_t hash[2],
                      const struct image_packed *packed)
{
    head->record = (struct image_record){.mark = IMAGE_RECORD_MARK, .type = IMAGE_DATA};
    head->data = (struct image_data){.size = (uint32_t)pages->size,
                                     .codec = (uint8_t)packed->codec,
                                     .paged = pages->stored < pages->size,
                                     .stored = packed->checksum,
                                     .hash = {hash[0], hash[1]}};
    memcpy(head->map, pages->map, sizeof head->map);
    head->record.length = head_size(&head->data);
    for (int i = 0; i < packed->count; i++)
        head->record.length += packed->runs[i].iov_len;
    head->record.checksum = image_checksum(&head->data, head_size(&head->data));
}

/* At its end, or over an earlier record. */
static int put_data(struct image_writer *writer, struct head *head,
                    const struct image_packed *packed, uint64_t offset, struct error *err)
{
    struct iovec pieces[IMAGE_SINK_PIECES] = {{head, sizeof head->record + head_size(&head->data)}};
    _Static_assert(IMAGE_CHUNK_RUNS < IMAGE_SINK_PIECES, "all go out in one call");
    head->record.own = image_record_own(&head->record, offset, writer->file.id);
    memcpy(pieces + 1, packed->runs, (size_t)packed->count * sizeof *packed->runs);
    if (offset != image_sink_offset(&writer->sink))
        return image_sink_overwrite(&writer->sink, writer->file.base + offset, pieces,
                                    packed->count + 1, err);
    writer->records++;
    return image_sink_write(&writer->sink, pieces, packed->count + 1, err);
}

/* Where an earlier draft has the chunk that comes now; 0: it has none. */
static uint64_t earlier_data(const struct image_writer *writer)
{
    size_t chunk = writer->begun->num_chunks;
    return writer->earlier && chunk < writer->earlier->num_chunks ? writer->earlier->data[chunk]
                                                                  : 0;
}

/* Where the record is to be: in the place of the one that the chunk had before, if it is as long
 * and nobody else's, else at the end. */
static int find_place(struct image_writer *writer, const struct head *head, uint64_t *offset,
                      struct error *err)
{
    struct image_stored stored;
    size_t chunk = writer->begun->num_chunks;
    uint64_t before = earlier_data(writer);
    *offset = image_sink_offset(&writer->sink);
    if (!before || !writer->rewritable ||
        !image_equal_is_alone(&writer->equal, writer->earlier->hashes[chunk], before))
        return 0;
    if (image_sink_flush(&writer->sink, err) < 0)
        return -1;
    writer->file.size = writer->sink.sent;
    if (image_file_stored(&writer->file, before, head->data.size, &stored, err) < 0)
        return -1;
    if (stored.begin - before + stored.length == sizeof head->record + head->record.length)
        *offset = before;
    return 0;
}

static int store(struct image_writer *writer, const struct image_pages *pages, const void *bytes,
                 const uint64_t hash[2], uint64_t *offset, struct error *err)
{
    struct image_packed packed;
    struct head head;
    if (find_equal(writer, hash, bytes, pages->size, offset, err) < 0)
        return -1;
    if (*offset && *offset == earlier_data(writer))
        return 0;
    if (*offset) {
        image_equal_share(&writer->equal, hash);
        return 0;
    }
    if (image_packer_pack(&writer->packer, pages, bytes, image_sink_cost(&writer->sink), &packed) <
        0)
        return no_memory(writer, err);
    make_head(&head, pages, hash, &packed);
    if (find_place(writer, &head, offset, err) < 0)
        return -1;
    if (writer->readable && image_equal_add(&writer->equal, hash, *offset) < 0)
        return no_memory(writer, err);
    return put_data(writer, &head, &packed, *offset, err);
}

int image_writer_chunk(struct image_writer *writer, const void *bytes, size_t size,
                       struct error *err)
{
    struct image_pages pages;
    struct image_draft *draft = writer->begun;
    assert(draft && size && size <= draft->size - draft->done);
    assert(size == IMAGE_CHUNK || size == draft->size - draft->done);
    if (check(writer, err) < 0)
        return -1;
    uint64_t *hash = draft->hashes[draft->num_chunks];
    image_pages_find(&pages, bytes, size);
    draft->zero_bytes += size - pages.stored;
    draft->stored[draft->num_chunks] = (uint32_t)pages.stored;
    if (!pages.stored) {
        image_hash_zeros(size, hash);
    } else {
        image_hash(bytes, size, hash);
        if (store(writer, &pages, bytes, hash, &draft->data[draft->num_chunks], err) < 0)
            return fail(writer, err);
    }
    draft->num_chunks++;
    draft->done += size;
    return 0;
}

/* Only of contents that are final: which of them had a chunk first is not known before. */
static uint64_t count_equal(struct image_writer *writer, const struct image_draft *draft)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < draft->num_chunks; i++)
        if (draft->data[i] && image_equal_count(&writer->equal, draft->hashes[i], draft->data[i]))
            bytes += draft->stored[i];
    return bytes;
}

static int put_contents(struct image_writer *writer, const struct image_draft *draft,
                        struct error *err)
{
    uint64_t digest[2];
    Shadowcl__Image__Contents message = SHADOWCL__IMAGE__CONTENTS__INIT;
    image_digest(*draft->hashes, draft->num_chunks, digest);
    message.object = draft->serial;
    message.size = draft->size;
    message.n_data = draft->num_chunks;
    message.data = draft->data;
    message.digest_low = digest[0];
    message.digest_high = digest[1];
    if (add_entry(writer, &writer->contents, draft->serial, err) < 0 ||
        put_message(writer, IMAGE_CONTENTS, &message.base, err) < 0)
        return fail(writer, err);
    writer->summary.contents_bytes += draft->size;
    writer->summary.zero_bytes += draft->zero_bytes;
    writer->summary.equal_bytes += count_equal(writer, draft);
    return 0;
}

void image_writer_abandon(struct image_writer *writer)
{
    if (!writer->begun)
        return;
    writer->earlier = NULL;
    image_draft_destroy(image_drafts_take(&writer->drafts, writer->begun->serial));
    image_draft_destroy(writer->begun);
    writer->begun = NULL;
}

int image_writer_end(struct image_writer *writer, struct error *err)
{
    struct image_draft *draft = writer->begun;
    assert(draft && draft->done == draft->size);
    if (check(writer, err) < 0 || put_contents(writer, draft, err) < 0)
        return -1;
    image_writer_abandon(writer); /* what there was before */
    return 0;
}

int image_writer_set_aside(struct image_writer *writer, struct error *err)
{
    struct image_draft *draft = writer->begun;
    assert(draft && draft->done == draft->size);
    if (check(writer, err) < 0)
        return -1;
    if (image_drafts_put(&writer->drafts, draft) < 0) {
        no_memory(writer, err);
        return fail(writer, err);
    }
    writer->begun = NULL;
    writer->earlier = NULL;
    return 0;
}

bool image_writer_is_as_before(const struct image_writer *writer)
{
    return writer->earlier && image_draft_equals(writer->begun, writer->earlier);
}

int image_writer_settle(struct image_writer *writer, uint64_t serial, struct error *err)
{
    assert(!writer->begun);
    if (check(writer, err) < 0)
        return -1;
    struct image_draft *draft = image_drafts_take(&writer->drafts, serial);
    int ret = draft ? put_contents(writer, draft, err) : 0;
    image_draft_destroy(draft);
    return ret;
}

int image_writer_check(const struct image_writer *writer, struct error *err)
{
    return check(writer, err);
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
