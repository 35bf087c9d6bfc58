/* SPDX-License-Identifier: Apache-2.0 */
/* The program that `run` is to start: where it is, and whether a preloaded library reaches it. */
#ifndef SHADOWCL_AGENT_PROGRAM_H
#define SHADOWCL_AGENT_PROGRAM_H

#include "shim/error.h"

#include <limits.h>
#include <stdbool.h>

/* Finds `command` as a shell does. 0, or -1 and in *code what a shell would exit with: 127 not
 * found, 126 not executable. */
int program_find(const char *command, char path[PATH_MAX], int *code, struct error *err);
/* -1 if the dynamic loader will not preload into it: setuid, static, of another architecture.
 * Looks through `#!` at the interpreter. */
int program_check(const char *path, struct error *err);
bool program_is_elf(const char *path);

#endif
