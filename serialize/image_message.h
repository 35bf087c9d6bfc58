/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of an image, unpacked within bounds: a message takes memory as it has bytes. */
#ifndef SHADOWCL_SERIALIZE_IMAGE_MESSAGE_H
#define SHADOWCL_SERIALIZE_IMAGE_MESSAGE_H

#include <protobuf-c/protobuf-c.h>

#include "serialize/image_file.h"

/* The record's payload, which is what its checksum says. The caller frees it. */
int image_file_payload(const struct image_file *file, uint64_t offset,
                       const struct image_record *record, uint8_t **payload, struct error *err);
/* The message in a record of that type. The caller frees it (protobuf_c_message_free_unpacked). */
int image_file_message(const struct image_file *file, uint64_t offset, enum image_record_type type,
                       const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **message,
                       struct error *err);

#endif
