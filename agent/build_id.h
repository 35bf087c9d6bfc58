/* SPDX-License-Identifier: Apache-2.0 */
/* The build-id of a library or program: two files with the same one are the same build. */
#ifndef SHADOWCL_AGENT_BUILD_ID_H
#define SHADOWCL_AGENT_BUILD_ID_H

#include <stdbool.h>

enum { BUILD_ID_TEXT = 2 * 64 + 1 };

/* As hexadecimal digits; false where the file is no ELF or has none. */
bool build_id_read(const char *path, char out[BUILD_ID_TEXT]);

#endif
