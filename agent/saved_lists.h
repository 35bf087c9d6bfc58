/* SPDX-License-Identifier: Apache-2.0 */
/* The lists in `shadowcl.json`: processes, files that are open, files that are mapped. */
#ifndef SHADOWCL_AGENT_SAVED_LISTS_H
#define SHADOWCL_AGENT_SAVED_LISTS_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

/* Borrowed; NULL where there is none. */
json_t *saved_find_process(const json_t *processes, pid_t pid);
json_t *saved_find_path(const json_t *files, const char *path);

void saved_add_process(json_t *processes, pid_t pid, bool resumes);
/* Once, however often it is open: it is written to where one of them writes. */
void saved_add_file(json_t *files, const char *path, json_int_t size, bool is_written);
/* A regular file, with its build-id; borrowed. NULL for anything else. */
json_t *saved_add_mapped(json_t *mapped, const char *path);

#endif
