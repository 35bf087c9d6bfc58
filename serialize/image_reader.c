/* SPDX-License-Identifier: Apache-2.0 */
/* Reads an image file: see image_reader.h. */
#include "serialize/image_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "serialize/image_error.h"
#include "serialize/image_hash.h"
#include "serialize/image_message.h"
#include "serialize/image_reader_file.h"

#define END_SIZE (sizeof(struct image_record) + sizeof(struct image_end))
/* The most that a header may have in a version to come. */
#define HEADER_MOST 4096

uint64_t image_reader_end(const struct image_reader *reader)
{
    return reader->file.size - END_SIZE;
}

static int look_at_file(struct image_file *file, int fd, struct error *err)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return image_fail(err, 0, errno, "fstat");
    if (!S_ISREG(status.st_mode))
        return image_fail(err, 0, 0, "it is not a file");
    file->fd = fd;
    file->size = (uint64_t)status.st_size;
    return 0;
}

/* Of what is newer no more than these eight bytes, version and size is known. */
static int check_version(const struct image_header *header, struct error *err)
{
    if (memcmp(header->magic, IMAGE_MAGIC, sizeof header->magic)) {
        image_fail(err, 0, 0, "it is not an image of shadowcl");
        return error_todo(err, "name a file that `shadowcl save` or `suspend --image` has written");
    }
    if (!header->major)
        return image_damaged(err, offsetof(struct image_header, major), "format 0");
    if (header->major <= IMAGE_MAJOR)
        return 0;
    image_fail(err, offsetof(struct image_header, major), 0,
               "made by a newer shadowcl (format %u.%u), this one reads up to %d", header->major,
               header->minor, IMAGE_MAJOR);
    return error_todo(err, "read it with a newer shadowcl");
}

/* The checksum is at the end, however long it is. */
static int check_header(const struct image_file *file, const struct image_header *header,
                        struct error *err)
{
    uint8_t bytes[HEADER_MOST];
    uint64_t checksum;
    size_t rest = header->size - sizeof checksum;
    if (header->size < sizeof *header || header->size > HEADER_MOST ||
        header->size > file->size - END_SIZE)
        return image_damaged(err, 12, "the header has %u bytes", header->size);
    if (image_file_read(file, 0, bytes, header->size, err) < 0)
        return -1;
    memcpy(&checksum, bytes + rest, sizeof checksum);
    if (checksum != image_checksum(bytes, rest))
        return image_damaged(err, 0, "the header's checksum is wrong");
    if (header->chunk != IMAGE_CHUNK)
        return image_damaged(err, offsetof(struct image_header, chunk),
                             "its chunks have %u bytes, and this shadowcl's have %zu",
                             header->chunk, IMAGE_CHUNK);
    return 0;
}

static int read_header(struct image_reader *reader, struct error *err)
{
    struct image_header *header = &reader->header;
    const struct image_file *file = &reader->file;
    if (file->size < sizeof *header + END_SIZE) {
        image_damaged(err, file->size, "the file ends here: too short for an image");
        return -1;
    }
    if (image_file_read(file, 0, header, sizeof *header, err) < 0 ||
        check_version(header, err) < 0 || check_header(file, header, err) < 0)
        return -1;
    memcpy(reader->file.id, header->id, sizeof header->id);
    return 0;
}

/* Where it is missing, the image was not written to its end. */
static int read_end(struct image_reader *reader, struct error *err)
{
    struct image_record record;
    uint64_t offset = image_reader_end(reader);
    if (image_file_record(&reader->file, offset, &record, err) < 0) {
        error_todo(err, "use another copy of the image: the end of this one is missing or damaged");
        return -1;
    }
    if (record.type != IMAGE_END || record.length != sizeof reader->end)
        return image_damaged(err, offset, "the end should be here, and it is another record (%u)",
                             record.type);
    if (image_file_read(&reader->file, offset + sizeof record, &reader->end, sizeof reader->end,
                        err) < 0)
        return -1;
    if (record.checksum != image_checksum(&reader->end, sizeof reader->end))
        return image_damaged(err, offset, "the record's checksum is wrong");
    if (memcmp(reader->end.id, reader->header.id, sizeof reader->end.id))
        return image_damaged(err, offset, "beginning and end are of two images");
    return 0;
}

/* References of the index: to what lies between header and end. */
static int check_entries(const struct image_reader *reader, Shadowcl__Image__IndexEntry **entries,
                         size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (entries[i]->offset < reader->header.size ||
            entries[i]->offset >= image_reader_end(reader))
            return image_damaged(
                err, reader->end.index, "the index has %llu at offset %llu, where no record can be",
                (unsigned long long)entries[i]->serial, (unsigned long long)entries[i]->offset);
    return 0;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;
    return (one > other) - (one < other);
}

/* No two of them are alike. */
static int sort_serials(struct image_reader *reader, struct error *err)
{
    const Shadowcl__Image__Index *index = reader->index;
    size_t count = index->n_objects;
    reader->serials = malloc(count * sizeof *reader->serials + 1);
    if (!reader->serials)
        return image_fail(err, reader->end.index, ENOMEM, "the index");
    for (size_t i = 0; i < count; i++)
        reader->serials[i] = index->objects[i]->serial;
    qsort(reader->serials, count, sizeof *reader->serials, compare_numbers);
    for (size_t i = 1; i < count; i++)
        if (reader->serials[i - 1] == reader->serials[i])
            return image_damaged(err, reader->end.index, "the index has object %llu twice",
                                 (unsigned long long)reader->serials[i]);
    return 0;
}

static int read_index(struct image_reader *reader, struct error *err)
{
    ProtobufCMessage *message;
    if (image_file_message(&reader->file, reader->end.index, IMAGE_INDEX,
                           &shadowcl__image__index__descriptor, &message, err) < 0)
        return -1;
    Shadowcl__Image__Index *index = reader->index = (Shadowcl__Image__Index *)message;
    if (check_entries(reader, index->objects, index->n_objects, err) < 0 ||
        check_entries(reader, index->contents, index->n_contents, err) < 0)
        return -1;
    return sort_serials(reader, err);
}

static int read_about(struct image_reader *reader, struct error *err)
{
    ProtobufCMessage *message;
    if (reader->index->about != reader->header.size)
        return image_damaged(err, reader->end.index,
                             "the first record should say what is in the image");
    if (image_file_message(&reader->file, reader->index->about, IMAGE_ABOUT,
                           &shadowcl__image__about__descriptor, &message, err) < 0)
        return -1;
    reader->about = (Shadowcl__Image__About *)message;
    return 0;
}

static uint64_t count_chunks(uint64_t size)
{
    return size / IMAGE_CHUNK + !!(size % IMAGE_CHUNK);
}

/* Data lie before what refers to them, so nothing can go round in circles. */
static int check_contents(const struct image_reader *reader, uint64_t offset,
                          const Shadowcl__Image__Contents *message, uint64_t serial,
                          struct error *err)
{
    if (message->object != serial)
        return image_damaged(err, offset, "these are contents of %llu, and of %llu in the index",
                             (unsigned long long)message->object, (unsigned long long)serial);
    if (message->n_data != count_chunks(message->size))
        return image_damaged(err, offset, "contents of %llu bytes with %zu chunks",
                             (unsigned long long)message->size, message->n_data);
    for (size_t i = 0; i < message->n_data; i++)
        if (message->data[i] &&
            (message->data[i] < reader->header.size || message->data[i] >= offset))
            return image_damaged(err, offset, "chunk %zu at offset %llu, where no data can be", i,
                                 (unsigned long long)message->data[i]);
    return 0;
}

static int read_contents(struct image_reader *reader, const Shadowcl__Image__IndexEntry *entry,
                         struct error *err)
{
    ProtobufCMessage *base;
    if (image_file_message(&reader->file, entry->offset, IMAGE_CONTENTS,
                           &shadowcl__image__contents__descriptor, &base, err) < 0)
        return -1;
    Shadowcl__Image__Contents *message = (Shadowcl__Image__Contents *)base;
    int ret = check_contents(reader, entry->offset, message, entry->serial, err);
    if (ret == 0) {
        reader->contents[reader->num_contents++] = (struct image_contents){
            .serial = entry->serial,
            .size = message->size,
            .digest = {message->digest_low, message->digest_high},
            .num_chunks = message->n_data,
            .data = message->data,
        };
        message->data = NULL;
        message->n_data = 0;
    }
    protobuf_c_message_free_unpacked(base, NULL);
    return ret;
}

/* Contents belong to an object, and come in the order of serials. */
static int check_order(const struct image_reader *reader, size_t place, struct error *err)
{
    Shadowcl__Image__IndexEntry **entries = reader->index->contents;
    uint64_t serial = entries[place]->serial;
    if (place > 0 && entries[place - 1]->serial >= serial)
        return image_damaged(err, reader->end.index, "the contents of %llu are not in order",
                             (unsigned long long)serial);
    if (!bsearch(&serial, reader->serials, reader->index->n_objects, sizeof serial,
                 compare_numbers))
        return image_damaged(err, reader->end.index,
                             "contents of %llu, and there is no such object",
                             (unsigned long long)serial);
    return 0;
}

static int read_all_contents(struct image_reader *reader, struct error *err)
{
    size_t count = reader->index->n_contents;
    reader->contents = calloc(count ? count : 1, sizeof *reader->contents);
    if (!reader->contents)
        return image_fail(err, reader->end.index, ENOMEM, "the index");
    for (size_t i = 0; i < count; i++)
        if (check_order(reader, i, err) < 0 ||
            read_contents(reader, reader->index->contents[i], err) < 0)
            return -1;
    return 0;
}

int image_reader_open(struct image_reader **reader, int fd, struct error *err)
{
    struct image_reader *made = calloc(1, sizeof *made);
    if (!made)
        return image_fail(err, 0, ENOMEM, "reading");
    if (look_at_file(&made->file, fd, err) < 0 || read_header(made, err) < 0 ||
        read_end(made, err) < 0 || read_index(made, err) < 0 || read_about(made, err) < 0 ||
        read_all_contents(made, err) < 0) {
        image_reader_close(made);
        return -1;
    }
    *reader = made;
    return 0;
}

void image_reader_close(struct image_reader *reader)
{
    if (!reader)
        return;
    for (size_t i = 0; i < reader->num_contents; i++)
        free(reader->contents[i].data);
    free(reader->contents);
    free(reader->serials);
    if (reader->index)
        shadowcl__image__index__free_unpacked(reader->index, NULL);
    if (reader->about)
        shadowcl__image__about__free_unpacked(reader->about, NULL);
    image_buffers_finish(&reader->buffers);
    free(reader);
}

const Shadowcl__Image__About *image_reader_about(const struct image_reader *reader)
{
    return reader->about;
}

const struct image_header *image_reader_header(const struct image_reader *reader)
{
    return &reader->header;
}

uint64_t image_reader_size(const struct image_reader *reader)
{
    return reader->file.size;
}

size_t image_reader_num_objects(const struct image_reader *reader)
{
    return reader->index->n_objects;
}

uint64_t image_reader_serial(const struct image_reader *reader, size_t index)
{
    return reader->index->objects[index]->serial;
}

uint64_t image_reader_offset(const struct image_reader *reader, size_t index)
{
    return reader->index->objects[index]->offset;
}

int image_reader_object(struct image_reader *reader, size_t index, Shadowcl__Image__Object **object,
                        struct error *err)
{
    const Shadowcl__Image__IndexEntry *entry = reader->index->objects[index];
    ProtobufCMessage *message;
    if (image_file_message(&reader->file, entry->offset, IMAGE_OBJECT,
                           &shadowcl__image__object__descriptor, &message, err) < 0)
        return -1;
    Shadowcl__Image__Object *found = (Shadowcl__Image__Object *)message;
    if (found->serial != entry->serial) {
        image_damaged(err, entry->offset, "this is object %llu, and %llu in the index",
                      (unsigned long long)found->serial, (unsigned long long)entry->serial);
        protobuf_c_message_free_unpacked(message, NULL);
        return -1;
    }
    *object = found;
    return 0;
}

const struct image_contents *image_reader_all_contents(struct image_reader *reader, size_t *count)
{
    *count = reader->num_contents;
    return reader->contents;
}

static int compare_contents(const void *a, const void *b)
{
    uint64_t serial = ((const struct image_contents *)b)->serial;
    return compare_numbers(a, &serial);
}

const struct image_contents *image_reader_contents(struct image_reader *reader, uint64_t serial)
{
    return bsearch(&serial, reader->contents, reader->num_contents, sizeof *reader->contents,
                   compare_contents);
}

size_t image_chunk_size(const struct image_contents *contents, size_t chunk)
{
    uint64_t left = contents->size - (uint64_t)chunk * IMAGE_CHUNK;
    return left < IMAGE_CHUNK ? (size_t)left : IMAGE_CHUNK;
}

int image_reader_chunk(struct image_reader *reader, const struct image_contents *contents,
                       size_t chunk, void *to, struct error *err)
{
    struct image_stored stored;
    size_t size = image_chunk_size(contents, chunk);
    if (!contents->data[chunk]) {
        memset(to, 0, size);
        return 0;
    }
    if (image_file_stored(&reader->file, contents->data[chunk], size, &stored, err) < 0)
        return -1;
    return image_file_chunk(&reader->file, &stored, &reader->buffers, to, err);
}

int image_reader_chunk_hash(struct image_reader *reader, const struct image_contents *contents,
                            size_t chunk, uint64_t hash[2], struct error *err)
{
    struct image_stored stored;
    size_t size = image_chunk_size(contents, chunk);
    if (!contents->data[chunk]) {
        image_hash_zeros(size, hash);
        return 0;
    }
    if (image_file_stored(&reader->file, contents->data[chunk], size, &stored, err) < 0)
        return -1;
    memcpy(hash, stored.data.hash, sizeof stored.data.hash);
    return 0;
}
