/* SPDX-License-Identifier: Apache-2.0 */
/* Words for people: bytes and times, and strings of other processes made safe for a terminal. */
#include "agent/text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *text_bytes(char *out, size_t size, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++)
        value /= 1024;
    if (unit == 0)
        snprintf(out, size, "%" PRIu64 " B", bytes);
    else
        snprintf(out, size, "%.1f %s", value, units[unit]);
    return out;
}

/* The length of the UTF-8 character at `text`, or 0 if it is none or a control character. */
static size_t character_length(const unsigned char *text)
{
    if (text[0] < 0x80)
        return text[0] >= 0x20 && text[0] != 0x7f;
    size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : text[0] >= 0xc2 ? 2 : 0;
    if (text[0] > 0xf4 || (text[0] == 0xc2 && text[1] < 0xa0)) /* C1 controls */
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

const char *text_clean(char *out, size_t size, const char *text)
{
    size_t used = 0;
    while (*text && used + 1 < size) {
        size_t length = character_length((const unsigned char *)text);
        bool fits = used + length < size;
        if (length == 0) {
            out[used++] = '?';
            text++;
            continue;
        }
        if (!fits)
            break;
        memcpy(out + used, text, length);
        used += length;
        text += length;
    }
    out[used] = 0;
    return out;
}

double text_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
