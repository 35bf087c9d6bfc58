/* SPDX-License-Identifier: Apache-2.0 */
/* Our own dispatch table, which every handle begins with, and the look-up of functions by name. */
#ifndef SHADOWCL_SHIM_DISPATCH_H
#define SHADOWCL_SHIM_DISPATCH_H

#include <CL/cl_icd.h>
#include <stdbool.h>
#include <stddef.h>

extern const cl_icd_dispatch dispatch_table;

/* Our wrapper of a core call or of an extension's function; NULL for what we don't wrap. */
void *dispatch_function(const char *name);
/* Do we carry the extension: it has no functions, or we wrap them all? (shim/extensions.c) */
bool extension_known(const char *name, size_t length);

#endif
