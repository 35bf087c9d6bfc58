/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of an image: see image_message.h. */
#include "serialize/image_message.h"

#include <errno.h>
#include <stdlib.h>

#include "serialize/image_error.h"
#include "serialize/image_hash.h"

/* An empty message within a message takes two bytes in the file and some hundred in memory. Those
 * of a program are not empty, and what is large is made of large things. */
#define ROOM_ALWAYS ((size_t)64 << 20)
#define ROOM_PER_BYTE 24
#define SMALL ((size_t)16 << 20)
#define ROOM_PER_BYTE_LARGE 8

struct room {
    size_t left;
    bool exceeded;
    bool no_memory;
};

static size_t room_for(size_t size)
{
    size_t small = size < SMALL ? size : SMALL;
    return ROOM_ALWAYS + ROOM_PER_BYTE * small + ROOM_PER_BYTE_LARGE * (size - small);
}

static void *take(void *data, size_t size)
{
    struct room *room = data;
    if (size > room->left) {
        room->exceeded = true;
        return NULL;
    }
    void *block = malloc(size);
    if (block)
        room->left -= size;
    else
        room->no_memory = true;
    return block;
}

/* What is freed while unpacking makes no room again, but that is counted in above. */
static void put_back(void *data, void *block)
{
    free(block);
}

int image_file_payload(const struct image_file *file, uint64_t offset,
                       const struct image_record *record, uint8_t **payload, struct error *err)
{
    if (record->length > IMAGE_MESSAGE)
        return image_damaged(err, offset, "the record has %llu bytes, and %llu are the most",
                             (unsigned long long)record->length, (unsigned long long)IMAGE_MESSAGE);
    size_t size = (size_t)record->length;
    uint8_t *bytes = malloc(size ? size : 1);
    if (!bytes)
        return image_fail(err, offset, ENOMEM, "a record of %zu bytes", size);
    if (image_file_read(file, offset + sizeof *record, bytes, size, err) < 0) {
        free(bytes);
        return -1;
    }
    if (image_checksum(bytes, size) != record->checksum) {
        free(bytes);
        return image_damaged(err, offset, "the record's checksum is wrong");
    }
    *payload = bytes;
    return 0;
}

static int unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t size,
                  uint64_t offset, ProtobufCMessage **message, struct error *err)
{
    struct room room = {.left = room_for(size)};
    ProtobufCAllocator allocator = {take, put_back, &room};
    *message = protobuf_c_message_unpack(descriptor, &allocator, size, bytes);
    if (*message)
        return 0;
    if (room.no_memory)
        return image_fail(err, offset, ENOMEM, "the %s", descriptor->short_name);
    if (room.exceeded)
        return image_damaged(err, offset, "the %s would take more memory than it should",
                             descriptor->short_name);
    return image_damaged(err, offset, "the %s can't be understood", descriptor->short_name);
}

int image_file_message(const struct image_file *file, uint64_t offset, enum image_record_type type,
                       const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **message,
                       struct error *err)
{
    struct image_record record;
    uint8_t *payload = NULL;
    if (image_file_record(file, offset, &record, err) < 0)
        return -1;
    if (record.type != type)
        return image_damaged(err, offset, "the %s should be here, and it is another record (%u)",
                             descriptor->short_name, record.type);
    if (image_file_payload(file, offset, &record, &payload, err) < 0)
        return -1;
    int ret = unpack(descriptor, payload, (size_t)record.length, offset, message, err);
    free(payload);
    return ret;
}
