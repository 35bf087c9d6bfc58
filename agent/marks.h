/* SPDX-License-Identifier: Apache-2.0 */
/* Small files of the agent's in runtime directories: written as a whole or not at all, and believed
 * only when they are the user's own. */
#ifndef SHADOWCL_AGENT_MARKS_H
#define SHADOWCL_AGENT_MARKS_H

#include "shim/error.h"

#include <jansson.h>
#include <stddef.h>

/* `suspended.UID`, this process's user. */
void marks_name(char *out, size_t size);
/* Replaces the file `name` in the directory `fd`; mode 0600. */
int marks_write(int fd, const char *name, const json_t *content, struct error *err);
/* The same, and it is there after a power failure. */
int marks_write_to_disk(int fd, const char *name, const json_t *content, struct error *err);
/* NULL when there is none, or none to believe: a link, another user's, larger than `most` bytes,
 * not JSON. The caller's. */
json_t *marks_read(int fd, const char *name, size_t most);
/* Removes the user's own mark from every runtime directory. */
void marks_remove_own(void);
/* The same, as root everybody's. */
void marks_remove_all(void);

#endif
