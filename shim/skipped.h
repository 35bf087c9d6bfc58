/* SPDX-License-Identifier: Apache-2.0 */
/* Drivers that could not be had when the program started. One that the user has named
 * (SHADOWCL_DRIVERS) is an error in the log, and told to whoever asks for the process's status; of
 * others, which the machine just happens to have, the log has a warning. */
#ifndef SHADOWCL_SHIM_SKIPPED_H
#define SHADOWCL_SHIM_SKIPPED_H

#include <stddef.h>

#include "shim/error.h"

/* By whoever starts the drivers, which is one thread. */
void skipped_add(const struct error *err);
/* Those that the user has named: what, why, and what to do, in a line for each. Borrowed. */
size_t skipped_named(const char *const **lines);

#endif
