/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of an image file name the offset: "image file, offset 64: ...". */
#ifndef SHADOWCL_SERIALIZE_IMAGE_ERROR_H
#define SHADOWCL_SERIALIZE_IMAGE_ERROR_H

#include <stdint.h>

#include "shim/error.h"

/* Object and reason, and where errnum tells it what to do. Always -1. */
int image_fail(struct error *err, uint64_t offset, int errnum, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* What was read can't be what was written. */
int image_damaged(struct error *err, uint64_t offset, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
