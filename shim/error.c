/* SPDX-License-Identifier: Apache-2.0 */
/* Errors as sentences: see error.h. */
#include "shim/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int errnum, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(err->reason, sizeof err->reason, format, args);
    va_end(args);
    if (errnum && length >= 0 && (size_t)length < sizeof err->reason) {
        char text[128];
        snprintf(err->reason + length, sizeof err->reason - (size_t)length, ": %s",
                 strerror_r(errnum, text, sizeof text));
    }
    return -1;
}

int error_object(struct error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err->object, sizeof err->object, format, args);
    va_end(args);
    return -1;
}

int error_final(struct error *err)
{
    err->is_final = true;
    return -1;
}

int error_todo(struct error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err->todo, sizeof err->todo, format, args);
    va_end(args);
    return -1;
}
