/* SPDX-License-Identifier: Apache-2.0 */
/* Errors of an image file: see image_error.h. */
#include "serialize/image_error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static const char *what_to_do(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        return "free some space, or name a file elsewhere";
    case EFBIG:
        return "raise the limit on the size of files (`ulimit -f`), or name a file on another file "
               "system";
    case EPIPE:
    case ECONNRESET:
        return "find out why the other end has stopped reading";
    case EIO:
        return "look into the kernel's log: the disk may be failing";
    case ENOMEM:
        return "free some memory";
    default:
        return "";
    }
}

int image_fail(struct error *err, uint64_t offset, int errnum, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set(err, errnum, "%s", text);
    error_todo(err, "%s", what_to_do(errnum));
    return error_object(err, "image file, offset %" PRIu64, offset);
}

int image_damaged(struct error *err, uint64_t offset, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set(err, 0, "%s", text);
    error_todo(err, "use another copy of the image: this one is damaged");
    return error_object(err, "image file, offset %" PRIu64, offset);
}
