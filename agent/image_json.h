/* SPDX-License-Identifier: Apache-2.0 */
/* What an image tells, as JSON: by the messages' own descriptions, so that no field is forgotten.
 */
#ifndef SHADOWCL_AGENT_IMAGE_JSON_H
#define SHADOWCL_AGENT_IMAGE_JSON_H

#include "agent/loaded.h"

#include <jansson.h>

/* Each of the caller's. Flags and constants are strings with their names, 64-bit digests strings of
 * hexadecimal digits. Bytes are {size, digest, hex, text}, where hex or text are null but for few
 * bytes, or if `whole`. */
json_t *image_json_message(const ProtobufCMessage *message, bool whole);
/* {serial, kind, references, refusal, fields, contents}. */
json_t *image_json_object(const struct loaded *loaded, const image_object *object, bool whole);
/* {size, chunks, zero_chunks, digest}, or null. */
json_t *image_json_contents(const struct loaded *loaded, uint64_t serial);
/* {version, pid, uid, command, host, boot, time, bytes}, time in seconds since 1970. */
json_t *image_json_about(const struct loaded *loaded);
/* {format, id, bytes, objects}: of the file itself. */
json_t *image_json_file(const struct loaded *loaded);
json_t *image_json_whole(uint64_t number);
/* Bytes that should be text, of any length. */
json_t *image_json_text(const void *bytes, size_t size);

#endif
