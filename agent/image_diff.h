/* SPDX-License-Identifier: Apache-2.0 */
/* In what two images differ. What is said of them as a whole (when, of whom) does not count. */
#ifndef SHADOWCL_AGENT_IMAGE_DIFF_H
#define SHADOWCL_AGENT_IMAGE_DIFF_H

#include "agent/loaded.h"

#include <jansson.h>

/* Objects of both have been read. {came, went: [{serial, kind}], changed: [{serial, kind, fields:
 * [{field, a, b}], contents}]}; contents are null where they are the same, else {size_a, size_b,
 * bytes, num_ranges, ranges: [[offset, size]...]}, of the part that both have: the first 1000
 * ranges. NULL where something can't be read. The caller's. */
json_t *image_diff(struct loaded *a, struct loaded *b, struct error *err);

#endif
