/* SPDX-License-Identifier: Apache-2.0 */
/* What puts a program under shadowcl: our library's place, and the variables that lead to it. */
#ifndef SHADOWCL_AGENT_ENVIRONMENT_H
#define SHADOWCL_AGENT_ENVIRONMENT_H

#include "shim/error.h"

#include <limits.h>

/* The folder of our libraries, beside the command: in a build tree and installed. */
int environment_find_library(char folder[PATH_MAX], struct error *err);
/* Sets LD_PRELOAD, LD_LIBRARY_PATH and GLIBC_TUNABLES, keeping what was in them. */
int environment_set(const char *folder, struct error *err);

#endif
