/* SPDX-License-Identifier: Apache-2.0 */
/* One object of an image, in a line or a few, for people. */
#ifndef SHADOWCL_AGENT_IMAGE_LINE_H
#define SHADOWCL_AGENT_IMAGE_LINE_H

#include "agent/loaded.h"

/* "buffer 5", "queue 7": as messages call it. Returns `out`. */
const char *image_line_name(const image_object *object, char *out, size_t size);
/* To standard output, with its end; further lines begin `indent` columns further than this one. */
void image_line_print(const struct loaded *loaded, const image_object *object, int indent);

#endif
