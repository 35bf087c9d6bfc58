/* SPDX-License-Identifier: Apache-2.0 */
/* Words for people: bytes and times, and strings of other processes made safe for a terminal. */
#ifndef SHADOWCL_AGENT_TEXT_H
#define SHADOWCL_AGENT_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* "512 B", "12.4 MiB". Returns `out`. */
const char *text_bytes(char *out, size_t size, uint64_t bytes);
/* Copies, with `?` for every control character; a cut never leaves part of a UTF-8 character. */
const char *text_clean(char *out, size_t size, const char *text);
/* Seconds on a clock that only goes forward. */
double text_clock(void);

#endif
