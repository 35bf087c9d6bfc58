/* SPDX-License-Identifier: Apache-2.0 */
/* What an image tells, as JSON: see image_json.h. */
#include "agent/image_json.h"

#include "agent/answer.h"
#include "agent/cl_names.h"
#include "serialize/image_hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEW_BYTES = 64 };

/* Fields whose numbers have names. */
static const struct {
    const ProtobufCMessageDescriptor *message;
    const char *field;
    enum cl_names names;
} named[] = {
    {&shadowcl__image__device__descriptor, "type", CL_NAMES_DEVICE_TYPE},
    {&shadowcl__image__queue__descriptor, "flags", CL_NAMES_QUEUE_FLAGS},
    {&shadowcl__image__mem__descriptor, "type", CL_NAMES_MEM_TYPE},
    {&shadowcl__image__mem__descriptor, "flags", CL_NAMES_MEM_FLAGS},
    {&shadowcl__image__image__descriptor, "channel_order", CL_NAMES_CHANNEL_ORDER},
    {&shadowcl__image__image__descriptor, "channel_type", CL_NAMES_CHANNEL_TYPE},
    {&shadowcl__image__mapping__descriptor, "flags", CL_NAMES_MAP_FLAGS},
    {&shadowcl__image__sampler__descriptor, "addressing", CL_NAMES_ADDRESSING},
    {&shadowcl__image__sampler__descriptor, "filter", CL_NAMES_FILTER},
    {&shadowcl__image__event__descriptor, "type", CL_NAMES_COMMAND},
    {&shadowcl__image__event__descriptor, "status", CL_NAMES_STATUS},
    {&shadowcl__image__svm__descriptor, "flags", CL_NAMES_MEM_FLAGS},
    {&shadowcl__image__info__descriptor, "param", CL_NAMES_PARAM},
    {&shadowcl__image__kernel_exec__descriptor, "param", CL_NAMES_PARAM},
};

json_t *image_json_whole(uint64_t number)
{
    return json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
}

json_t *image_json_text(const void *bytes, size_t size)
{
    json_t *text = json_stringn(bytes, size);
    char *copy = text ? NULL : malloc(size + 1);
    if (text || !copy)
        return text;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = ((const unsigned char *)bytes)[i];
        copy[i] = (char)(byte < 0x80 ? byte : '?');
    }
    text = json_stringn(copy, size);
    free(copy);
    return text;
}

static json_t *digest_json(const uint64_t digest[2])
{
    char text[40];
    snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, digest[1], digest[0]);
    return json_string(text);
}

static json_t *hex_json(const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(2 * size + 1);
    if (!text)
        return json_null();
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    json_t *value = json_stringn(text, 2 * size);
    free(text);
    return value;
}

/* Printable, perhaps with a NUL at its end. */
static bool is_text(const uint8_t *bytes, size_t size)
{
    if (size && !bytes[size - 1])
        size--;
    for (size_t i = 0; i < size; i++)
        if ((bytes[i] < ' ' && bytes[i] != '\n' && bytes[i] != '\t' && bytes[i] != '\r') ||
            bytes[i] == 0x7f)
            return false;
    return size > 0;
}

static json_t *bytes_json(const ProtobufCBinaryData *data, bool whole)
{
    uint64_t digest[2];
    bool shown = whole || data->len <= FEW_BYTES;
    bool text = shown && is_text(data->data, data->len);
    image_hash(data->data, data->len, digest);
    size_t length = data->len && !data->data[data->len - 1] ? data->len - 1 : data->len;
    return json_pack("{s:o, s:o, s:o, s:o}", "size", image_json_whole(data->len), "digest",
                     data->len ? digest_json(digest) : json_null(), "hex",
                     shown && !text ? hex_json(data->data, data->len) : json_null(), "text",
                     text ? image_json_text(data->data, length) : json_null());
}

static json_t *enum_json(const ProtobufCEnumDescriptor *type, int number)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);
    return value ? json_string(value->name) : json_integer(number);
}

static uint64_t read_number(const ProtobufCFieldDescriptor *field, const void *at)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return (uint64_t)(int64_t) * (const int32_t *)at;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return *(const uint32_t *)at;
    default:
        return *(const uint64_t *)at;
    }
}

static json_t *number_json(const ProtobufCMessageDescriptor *type,
                           const ProtobufCFieldDescriptor *field, const void *at)
{
    char name[CL_NAME_SIZE];
    uint64_t number = read_number(field, at);
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (named[i].message == type && !strcmp(named[i].field, field->name))
            return json_string(cl_name(named[i].names, number, name, sizeof name));
    if (field->type == PROTOBUF_C_TYPE_INT32 || field->type == PROTOBUF_C_TYPE_INT64)
        return json_integer((json_int_t)number);
    return image_json_whole(number);
}

static json_t *value_json(const ProtobufCMessageDescriptor *type,
                          const ProtobufCFieldDescriptor *field, const void *at, bool whole)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *message = *(ProtobufCMessage *const *)at;
        return message ? image_json_message(message, whole) : json_null();
    }
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(char *const *)at;
        return image_json_text(text, strlen(text));
    }
    case PROTOBUF_C_TYPE_BYTES:
        return bytes_json(at, whole);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)at);
    case PROTOBUF_C_TYPE_ENUM:
        return enum_json(field->descriptor, *(const int *)at);
    default:
        return number_json(type, field, at);
    }
}

static size_t size_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
    case PROTOBUF_C_TYPE_STRING:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(uint64_t);
    default:
        return sizeof(uint32_t);
    }
}

/* A list of properties: names and values in turn. */
static json_t *properties_json(const Shadowcl__Image__Properties *properties)
{
    char name[CL_NAME_SIZE];
    json_t *array = json_array();
    for (size_t i = 0; i < properties->n_words; i += 2) {
        json_t *value =
            i + 1 < properties->n_words ? image_json_whole(properties->words[i + 1]) : json_null();
        json_array_append_new(
            array, json_pack("{s:s, s:o}", "name",
                             cl_name(CL_NAMES_PROPERTY, properties->words[i], name, sizeof name),
                             "value", value));
    }
    return array;
}

static json_t *field_json(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                          bool whole)
{
    const char *at = (const char *)message + field->offset;
    const ProtobufCMessageDescriptor *type = message->descriptor;
    if (field->label != PROTOBUF_C_LABEL_REPEATED)
        return value_json(type, field, at, whole);
    size_t count = *(const size_t *)((const char *)message + field->quantifier_offset);
    const char *list = *(char *const *)at;
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, value_json(type, field, list + i * size_of(field), whole));
    return array;
}

/* What a newer version has put there. */
static json_t *unknown_json(const ProtobufCMessage *message)
{
    json_t *array = json_array();
    for (unsigned i = 0; i < message->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *field = &message->unknown_fields[i];
        ProtobufCBinaryData bytes = {.len = field->len, .data = field->data};
        json_array_append_new(array, json_pack("{s:I, s:o}", "number", (json_int_t)field->tag,
                                               "bytes", bytes_json(&bytes, false)));
    }
    return array;
}

static bool is_other_choice(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
        return false;
    return *(const uint32_t *)((const char *)message + field->quantifier_offset) != field->id;
}

json_t *image_json_message(const ProtobufCMessage *message, bool whole)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    if (type == &shadowcl__image__properties__descriptor)
        return properties_json((const Shadowcl__Image__Properties *)message);
    json_t *object = json_object();
    for (unsigned i = 0; i < type->n_fields; i++)
        if (!is_other_choice(message, &type->fields[i]))
            json_object_set_new(object, type->fields[i].name,
                                field_json(message, &type->fields[i], whole));
    if (message->n_unknown_fields)
        json_object_set_new(object, "unknown", unknown_json(message));
    return object;
}

json_t *image_json_contents(const struct loaded *loaded, uint64_t serial)
{
    const struct image_contents *contents = image_reader_contents(loaded->reader, serial);
    if (!contents)
        return json_null();
    size_t zeros = 0;
    for (size_t i = 0; i < contents->num_chunks; i++)
        zeros += !contents->data[i];
    return json_pack("{s:o, s:o, s:o, s:o}", "size", image_json_whole(contents->size), "chunks",
                     image_json_whole(contents->num_chunks), "zero_chunks", image_json_whole(zeros),
                     "digest", digest_json(contents->digest));
}

json_t *image_json_object(const struct loaded *loaded, const image_object *object, bool whole)
{
    /* Whichever of the choices it is, it is a message. */
    json_t *fields =
        object->kind_case ? image_json_message(&object->platform->base, whole) : json_object();
    json_t *json =
        json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "serial", image_json_whole(object->serial),
                  "kind", loaded_kind(object), "references", image_json_whole(object->references),
                  "refusal", image_json_text(object->refusal, strlen(object->refusal)), "fields",
                  fields, "contents", image_json_contents(loaded, object->serial));
    if (json && object->base.n_unknown_fields)
        json_object_set_new(fields, "unknown", unknown_json(&object->base));
    return json;
}

json_t *image_json_about(const struct loaded *loaded)
{
    const Shadowcl__Image__About *about = image_reader_about(loaded->reader);
    json_t *json = image_json_message(&about->base, true);
    json_object_set_new(json, "time", json_real((double)about->time / 1e9));
    return json;
}

json_t *image_json_file(const struct loaded *loaded)
{
    const struct image_header *header = image_reader_header(loaded->reader);
    char format[16];
    snprintf(format, sizeof format, "%u.%u", header->major, header->minor);
    return json_pack("{s:s, s:o, s:o, s:o}", "format", format, "id",
                     hex_json(header->id, sizeof header->id), "bytes",
                     image_json_whole(image_reader_size(loaded->reader)), "objects",
                     image_json_whole(image_reader_num_objects(loaded->reader)));
}
