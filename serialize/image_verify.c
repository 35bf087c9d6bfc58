/* SPDX-License-Identifier: Apache-2.0 */
/* Goes over a whole image file: see image_reader_verify(). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "serialize/image_error.h"
#include "serialize/image_hash.h"
#include "serialize/image_reader_file.h"

/* What the index refers to; a walk comes by these in the order of offsets. */
struct reference {
    uint64_t offset;
    enum image_record_type type;
    size_t index; /* among objects or contents */
};

/* A data record that the walk has come by. */
struct seen {
    uint64_t offset;
    uint64_t hash[2];
    uint32_t size;
};

struct walk {
    struct image_reader *reader;
    bool (*told)(void *data, uint64_t done);
    void *data;
    struct reference *references; /* owned, sorted */
    size_t num_references;
    size_t next;       /* of those */
    struct seen *seen; /* owned; in the order of offsets */
    size_t num_seen;
    size_t room_seen;
    uint64_t records;
    struct image_buffers buffers;
    struct image_summer *summer; /* owned */
    uint8_t *chunk;              /* owned: IMAGE_CHUNK */
};

static int compare_references(const void *a, const void *b)
{
    uint64_t one = ((const struct reference *)a)->offset;
    uint64_t other = ((const struct reference *)b)->offset;
    return (one > other) - (one < other);
}

static int compare_seen(const void *key, const void *element)
{
    uint64_t one = *(const uint64_t *)key, other = ((const struct seen *)element)->offset;
    return (one > other) - (one < other);
}

static void add_references(struct walk *walk, Shadowcl__Image__IndexEntry **entries, size_t count,
                           enum image_record_type type)
{
    for (size_t i = 0; i < count; i++)
        walk->references[walk->num_references++] = (struct reference){entries[i]->offset, type, i};
}

static int begin(struct walk *walk, struct error *err)
{
    const struct image_reader *reader = walk->reader;
    const Shadowcl__Image__Index *index = reader->index;
    walk->references =
        malloc((index->n_objects + index->n_contents + 2) * sizeof *walk->references);
    walk->summer = image_summer_create();
    walk->chunk = malloc(IMAGE_CHUNK);
    if (!walk->references || !walk->summer || !walk->chunk)
        return image_fail(err, 0, ENOMEM, "verifying");
    walk->references[walk->num_references++] = (struct reference){index->about, IMAGE_ABOUT, 0};
    walk->references[walk->num_references++] =
        (struct reference){reader->end.index, IMAGE_INDEX, 0};
    add_references(walk, index->objects, index->n_objects, IMAGE_OBJECT);
    add_references(walk, index->contents, index->n_contents, IMAGE_CONTENTS);
    qsort(walk->references, walk->num_references, sizeof *walk->references, compare_references);
    return 0;
}

static void finish(struct walk *walk)
{
    free(walk->references);
    free(walk->seen);
    free(walk->chunk);
    image_summer_destroy(walk->summer);
    image_buffers_finish(&walk->buffers);
}

static int tell(const struct walk *walk, uint64_t done, struct error *err)
{
    if (!walk->told || walk->told(walk->data, done))
        return 0;
    return image_fail(err, done, ECANCELED, "verifying");
}

/* The payload, in pieces, however long it is. */
static int check_payload(struct walk *walk, uint64_t offset, const struct image_record *record,
                         struct error *err)
{
    uint64_t at = offset + sizeof *record, end = at + record->length;
    while (at < end) {
        size_t size = end - at < IMAGE_CHUNK ? (size_t)(end - at) : IMAGE_CHUNK;
        if (image_file_read(&walk->reader->file, at, walk->chunk, size, err) < 0)
            return -1;
        image_summer_add(walk->summer, walk->chunk, size);
        at += size;
        if (tell(walk, at, err) < 0)
            return -1;
    }
    if (image_summer_take(walk->summer) != record->checksum)
        return image_damaged(err, offset, "the record's checksum is wrong");
    return 0;
}

static int check_data(struct walk *walk, uint64_t offset, struct error *err)
{
    struct image_stored stored;
    const struct image_file *file = &walk->reader->file;
    if (image_file_stored(file, offset, 0, &stored, err) < 0 ||
        image_file_chunk(file, &stored, &walk->buffers, walk->chunk, err) < 0)
        return -1;
    if (walk->num_seen == walk->room_seen) {
        size_t room = walk->room_seen ? 2 * walk->room_seen : 256;
        struct seen *seen = realloc(walk->seen, room * sizeof *seen);
        if (!seen)
            return image_fail(err, offset, ENOMEM, "verifying");
        walk->seen = seen;
        walk->room_seen = room;
    }
    walk->seen[walk->num_seen++] =
        (struct seen){offset, {stored.data.hash[0], stored.data.hash[1]}, stored.data.size};
    return 0;
}

static int hash_chunk(const struct walk *walk, const struct image_contents *contents, size_t chunk,
                      uint64_t offset, uint64_t hash[2], struct error *err)
{
    if (!contents->data[chunk])
        return image_reader_chunk_hash(walk->reader, contents, chunk, hash, err);
    const struct seen *seen = bsearch(&contents->data[chunk], walk->seen, walk->num_seen,
                                      sizeof *walk->seen, compare_seen);
    if (!seen || seen->size != image_chunk_size(contents, chunk))
        return image_damaged(err, offset, "chunk %zu at offset %llu, where no such data are", chunk,
                             (unsigned long long)contents->data[chunk]);
    memcpy(hash, seen->hash, sizeof seen->hash);
    return 0;
}

static int check_contents(const struct walk *walk, const struct image_contents *contents,
                          uint64_t offset, struct error *err)
{
    uint64_t digest[2];
    uint64_t(*hashes)[2] = malloc(contents->num_chunks * sizeof *hashes + 1);
    if (!hashes)
        return image_fail(err, offset, ENOMEM, "verifying");
    for (size_t i = 0; i < contents->num_chunks; i++) {
        if (hash_chunk(walk, contents, i, offset, hashes[i], err) < 0) {
            free(hashes);
            return -1;
        }
    }
    image_digest(*hashes, contents->num_chunks, digest);
    free(hashes);
    if (digest[0] != contents->digest[0] || digest[1] != contents->digest[1])
        return image_damaged(err, offset, "the contents are not what their digest says");
    return 0;
}

static int check_object(const struct walk *walk, size_t index, struct error *err)
{
    Shadowcl__Image__Object *object;
    if (image_reader_object(walk->reader, index, &object, err) < 0)
        return -1;
    shadowcl__image__object__free_unpacked(object, NULL);
    return 0;
}

/* A record that the index must have. */
static int check_referred(struct walk *walk, uint64_t offset, const struct image_record *record,
                          struct error *err)
{
    if (walk->next == walk->num_references || walk->references[walk->next].offset != offset ||
        walk->references[walk->next].type != record->type)
        return image_damaged(err, offset, "a record (%u) that is not in the index", record->type);
    const struct reference *reference = &walk->references[walk->next++];
    if (record->type == IMAGE_OBJECT)
        return check_object(walk, reference->index, err);
    if (check_payload(walk, offset, record, err) < 0)
        return -1;
    if (record->type != IMAGE_CONTENTS)
        return 0;
    return check_contents(walk, &walk->reader->contents[reference->index], offset, err);
}

/* One of a type that is not known comes from a newer minor version and is passed over. */
static int check_one(struct walk *walk, uint64_t offset, const struct image_record *record,
                     struct error *err)
{
    switch (record->type) {
    case IMAGE_DATA:
        return check_data(walk, offset, err);
    case IMAGE_ABOUT:
    case IMAGE_OBJECT:
    case IMAGE_CONTENTS:
    case IMAGE_INDEX:
        return check_referred(walk, offset, record, err);
    case IMAGE_END:
        return image_damaged(err, offset, "the end comes before the end of the file");
    default:
        return check_payload(walk, offset, record, err);
    }
}

static int check_records(struct walk *walk, struct error *err)
{
    uint64_t offset = walk->reader->header.size, end = image_reader_end(walk->reader);
    while (offset < end) {
        struct image_record record;
        if (image_file_record(&walk->reader->file, offset, &record, err) < 0)
            return -1;
        if (end - offset < sizeof record || record.length > end - offset - sizeof record)
            return image_damaged(err, offset, "the record goes into the one at the end");
        if (check_one(walk, offset, &record, err) < 0)
            return -1;
        offset += sizeof record + record.length;
        walk->records++;
        if (tell(walk, offset, err) < 0)
            return -1;
    }
    return 0;
}

static int check_counts(const struct walk *walk, struct error *err)
{
    const struct image_reader *reader = walk->reader;
    if (walk->next < walk->num_references)
        return image_damaged(err, reader->end.index,
                             "the index refers to offset %llu, where no such record begins",
                             (unsigned long long)walk->references[walk->next].offset);
    if (walk->records != reader->end.records)
        return image_damaged(
            err, image_reader_end(reader), "%llu records, and there should be %llu",
            (unsigned long long)walk->records, (unsigned long long)reader->end.records);
    return 0;
}

int image_reader_verify(struct image_reader *reader, bool (*told)(void *data, uint64_t done),
                        void *data, struct error *err)
{
    struct walk walk = {.reader = reader, .told = told, .data = data};
    int ret = begin(&walk, err);
    if (ret == 0)
        ret = check_records(&walk, err);
    if (ret == 0)
        ret = check_counts(&walk, err);
    finish(&walk);
    return ret;
}
