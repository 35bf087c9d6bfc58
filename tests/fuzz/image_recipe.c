/* SPDX-License-Identifier: Apache-2.0 */
/* Images from recipes, and the other way: see image_recipe.h. */
#include "image_recipe.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "file.pb-c.h"
#include "serialize/image_chunk.h"
#include "serialize/image_file.h"
#include "serialize/image_hash.h"

#define MOST_RECORDS 4096

void bytes_add(struct bytes *bytes, const void *more, size_t size)
{
    if (bytes->room - bytes->size < size) {
        bytes->room = 2 * (bytes->room + size);
        bytes->all = realloc(bytes->all, bytes->room);
        if (!bytes->all)
            abort();
    }
    if (size)
        memcpy(bytes->all + bytes->size, more, size);
    bytes->size += size;
}

void bytes_finish(struct bytes *bytes)
{
    free(bytes->all);
    *bytes = (struct bytes){0};
}

struct kitchen {
    struct bytes *image;
    uint8_t id[16];
    uint64_t offsets[MOST_RECORDS];
    uint64_t hashes[MOST_RECORDS][2]; /* of data records */
    size_t count;
};

static uint64_t offset_of(const struct kitchen *kitchen, uint64_t number)
{
    return number && number <= kitchen->count ? kitchen->offsets[number - 1] : number;
}

static void cook_header(struct kitchen *kitchen, enum recipe_header how)
{
    uint8_t bytes[sizeof(struct image_header) + 16] = {0};
    struct image_header header = {.magic = IMAGE_MAGIC,
                                  .major = IMAGE_MAJOR + (how == RECIPE_HEADER_NEWER_MAJOR),
                                  .minor = IMAGE_MINOR + (how == RECIPE_HEADER_NEWER_MINOR),
                                  .size = sizeof header + (how == RECIPE_HEADER_LONGER ? 16 : 0),
                                  .chunk = IMAGE_CHUNK + (how == RECIPE_HEADER_CHUNK)};
    memcpy(kitchen->id, "an image's id...", sizeof kitchen->id);
    memcpy(header.id, kitchen->id, sizeof header.id);
    memcpy(bytes, &header, sizeof header);
    size_t rest = header.size - sizeof header.checksum;
    header.checksum = image_checksum(bytes, rest) + (how == RECIPE_HEADER_CHECKSUM);
    memcpy(bytes + rest, &header.checksum, sizeof header.checksum);
    bytes_add(kitchen->image, bytes, header.size);
    if (how == RECIPE_HEADER_ID)
        kitchen->id[0]++;
}

/* Of data only its head has a checksum. */
static uint64_t sum_of(enum image_record_type type, const struct bytes *payload)
{
    struct image_data data;
    size_t size = payload->size;
    if (type == IMAGE_DATA && size >= sizeof data) {
        memcpy(&data, payload->all, sizeof data);
        size_t head = sizeof data + (data.paged ? image_pages_map_bytes(data.size) : 0);
        size = head < size ? head : size;
    }
    return image_checksum(payload->all, size);
}

static void cook_record(struct kitchen *kitchen, enum image_record_type type, uint8_t how,
                        const struct bytes *payload)
{
    enum recipe_damage damage = how & RECIPE_DAMAGE;
    uint64_t offset = kitchen->image->size;
    struct image_record record = {.mark = IMAGE_RECORD_MARK + (damage == RECIPE_MARK),
                                  .type = (uint16_t)type,
                                  .flags = damage == RECIPE_FLAGS,
                                  .length = payload->size + (damage == RECIPE_LONGER) -
                                            (damage == RECIPE_SHORTER),
                                  .checksum = sum_of(type, payload) + (damage == RECIPE_CHECKSUM)};
    if (damage == RECIPE_HUGE)
        record.length = UINT64_MAX - offset % 128;
    record.own = image_record_own(&record, offset, kitchen->id) + (damage == RECIPE_OWN);
    kitchen->offsets[kitchen->count++] = offset;
    bytes_add(kitchen->image, &record, sizeof record);
    bytes_add(kitchen->image, payload->all, payload->size);
}

/* The stored pages of a chunk, or NULL. */
static const uint8_t *unpack_pages(const struct image_data *data, size_t pages, const uint8_t *from,
                                   size_t size)
{
    static uint8_t bytes[IMAGE_CHUNK];
    if (data->codec == IMAGE_RAW && size == pages)
        return from;
    if (data->codec == IMAGE_ZSTD && ZSTD_decompress(bytes, pages, from, size) == pages)
        return bytes;
    return NULL;
}

/* Hash and checksum as they should be, where there is a chunk to take them of. */
static void right_data(struct bytes *payload)
{
    static uint8_t chunk[IMAGE_CHUNK];
    struct image_data data;
    struct image_pages pages;
    memcpy(&data, payload->all, sizeof data);
    size_t head = sizeof data + (data.paged ? image_pages_map_bytes(data.size) : 0);
    if (!data.size || data.size > IMAGE_CHUNK || payload->size < head)
        return;
    const uint8_t *from = payload->all + head;
    if (!data.paged)
        image_pages_fill(&pages, data.size);
    else if (image_pages_read(&pages, data.size, payload->all + sizeof data) < 0)
        return;
    const uint8_t *packed = unpack_pages(&data, pages.stored, from, payload->size - head);
    if (packed) {
        image_pages_spread(&pages, packed, chunk);
        image_hash(chunk, data.size, data.hash);
    }
    if (data.codec == IMAGE_ZSTD)
        data.stored = image_checksum(from, payload->size - head);
    memcpy(payload->all, &data, sizeof data);
}

static void pack(const ProtobufCMessage *message, struct bytes *payload)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(size + 1);
    if (!bytes)
        abort();
    protobuf_c_message_pack(message, bytes);
    payload->size = 0;
    bytes_add(payload, bytes, size);
    free(bytes);
}

static void right_digest(const struct kitchen *kitchen, Shadowcl__Image__Contents *contents)
{
    struct bytes hashes = {0};
    uint64_t digest[2];
    for (size_t i = 0; i < contents->n_data; i++) {
        uint64_t number = contents->data[i], left = contents->size - i * IMAGE_CHUNK, hash[2] = {0};
        if (number && number <= kitchen->count)
            memcpy(hash, kitchen->hashes[number - 1], sizeof hash);
        else if (!number)
            image_hash_zeros(left < IMAGE_CHUNK ? left : IMAGE_CHUNK, hash);
        bytes_add(&hashes, hash, sizeof hash);
    }
    image_digest((uint64_t *)(void *)hashes.all, contents->n_data, digest);
    contents->digest_low = digest[0];
    contents->digest_high = digest[1];
    bytes_finish(&hashes);
}

static void right_contents(const struct kitchen *kitchen, uint8_t how, struct bytes *payload)
{
    Shadowcl__Image__Contents *contents =
        shadowcl__image__contents__unpack(NULL, payload->size, payload->all);
    if (!contents)
        return;
    if (!(how & RECIPE_KEEP_HASH))
        right_digest(kitchen, contents);
    for (size_t i = 0; i < contents->n_data; i++)
        contents->data[i] = offset_of(kitchen, contents->data[i]);
    pack(&contents->base, payload);
    shadowcl__image__contents__free_unpacked(contents, NULL);
}

static void right_index(const struct kitchen *kitchen, struct bytes *payload)
{
    Shadowcl__Image__Index *index =
        shadowcl__image__index__unpack(NULL, payload->size, payload->all);
    if (!index)
        return;
    for (size_t i = 0; i < index->n_objects; i++)
        index->objects[i]->offset = offset_of(kitchen, index->objects[i]->offset);
    for (size_t i = 0; i < index->n_contents; i++)
        index->contents[i]->offset = offset_of(kitchen, index->contents[i]->offset);
    index->about = offset_of(kitchen, index->about);
    pack(&index->base, payload);
    shadowcl__image__index__free_unpacked(index, NULL);
}

/* Its payload says which record is the index, and how many records more there are said to be. */
static void right_end(const struct kitchen *kitchen, struct bytes *payload)
{
    struct image_end end = {.records = kitchen->count};
    if (payload->size < 2)
        return;
    end.index = offset_of(kitchen, payload->all[0]);
    end.records += payload->all[1];
    memcpy(end.id, kitchen->id, sizeof end.id);
    payload->size = 0;
    bytes_add(payload, &end, sizeof end);
}

static void cook(struct kitchen *kitchen, enum image_record_type type, uint8_t how,
                 struct bytes *payload)
{
    struct image_data data;
    if (type == IMAGE_DATA && payload->size >= sizeof data) {
        if (!(how & RECIPE_KEEP_HASH))
            right_data(payload);
        memcpy(&data, payload->all, sizeof data);
        memcpy(kitchen->hashes[kitchen->count], data.hash, sizeof data.hash);
    } else if (!(how & RECIPE_AS_IT_IS)) {
        if (type == IMAGE_CONTENTS)
            right_contents(kitchen, how, payload);
        if (type == IMAGE_INDEX)
            right_index(kitchen, payload);
        if (type == IMAGE_END)
            right_end(kitchen, payload);
    }
    cook_record(kitchen, type, how, payload);
}

void recipe_cook(const uint8_t *recipe, size_t size, struct bytes *image)
{
    static struct kitchen kitchen;
    memset(&kitchen, 0, sizeof kitchen);
    kitchen.image = image;
    if (!size)
        return;
    cook_header(&kitchen, recipe[0] % (RECIPE_HEADER_ID + 1));
    for (size_t at = 1; size - at >= 4 && kitchen.count < MOST_RECORDS;) {
        size_t length = recipe[at + 2] | (size_t)recipe[at + 3] << 8;
        struct bytes payload = {0};
        if (length > size - at - 4)
            length = size - at - 4;
        bytes_add(&payload, recipe + at + 4, length);
        cook(&kitchen, recipe[at] % 16, recipe[at + 1], &payload);
        bytes_finish(&payload);
        at += 4 + length;
    }
}

/* The other way. */
static uint64_t number_of(const struct kitchen *kitchen, uint64_t offset)
{
    for (size_t i = 0; i < kitchen->count; i++)
        if (kitchen->offsets[i] == offset)
            return i + 1;
    return 0;
}

static void number_contents(const struct kitchen *kitchen, struct bytes *payload)
{
    Shadowcl__Image__Contents *contents =
        shadowcl__image__contents__unpack(NULL, payload->size, payload->all);
    for (size_t i = 0; i < contents->n_data; i++)
        contents->data[i] = number_of(kitchen, contents->data[i]);
    pack(&contents->base, payload);
    shadowcl__image__contents__free_unpacked(contents, NULL);
}

static void number_index(const struct kitchen *kitchen, struct bytes *payload)
{
    Shadowcl__Image__Index *index =
        shadowcl__image__index__unpack(NULL, payload->size, payload->all);
    for (size_t i = 0; i < index->n_objects; i++)
        index->objects[i]->offset = number_of(kitchen, index->objects[i]->offset);
    for (size_t i = 0; i < index->n_contents; i++)
        index->contents[i]->offset = number_of(kitchen, index->contents[i]->offset);
    index->about = number_of(kitchen, index->about);
    pack(&index->base, payload);
    shadowcl__image__index__free_unpacked(index, NULL);
}

static void write_record(const struct kitchen *kitchen, const struct image_record *record,
                         const uint8_t *from, struct bytes *recipe)
{
    struct bytes payload = {0};
    bytes_add(&payload, from, record->length);
    if (record->type == IMAGE_CONTENTS)
        number_contents(kitchen, &payload);
    if (record->type == IMAGE_INDEX)
        number_index(kitchen, &payload);
    if (record->type == IMAGE_END) {
        payload.size = 0;
        bytes_add(&payload, (uint8_t[]){(uint8_t)kitchen->count, 0}, 2);
    }
    uint8_t head[] = {(uint8_t)record->type, 0, (uint8_t)payload.size,
                      (uint8_t)(payload.size >> 8)};
    bytes_add(recipe, head, sizeof head);
    bytes_add(recipe, payload.all, payload.size);
    bytes_finish(&payload);
}

void recipe_write(const uint8_t *image, size_t size, struct bytes *recipe)
{
    static struct kitchen kitchen;
    struct image_record record;
    memset(&kitchen, 0, sizeof kitchen);
    bytes_add(recipe, "", 1);
    for (size_t at = sizeof(struct image_header); at < size; at += sizeof record + record.length) {
        memcpy(&record, image + at, sizeof record);
        write_record(&kitchen, &record, image + at + sizeof record, recipe);
        kitchen.offsets[kitchen.count++] = at;
    }
}
