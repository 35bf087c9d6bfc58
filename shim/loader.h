/* SPDX-License-Identifier: Apache-2.0 */
/* Finds and loads drivers by the rules of cl_khr_icd, and unloads them again. */
#ifndef SHADOWCL_SHIM_LOADER_H
#define SHADOWCL_SHIM_LOADER_H

#include "shim/error.h"
#include "state/device.h"

/* Loads what there is, the first time; starts everything else of the shim. Re-entrant: a driver that
 * calls us while it starts sees no platforms. Never fails: no driver means no platform. */
void loader_start(void);
/* The shadow platforms, in the order in which the application sees them; borrowed. */
struct platform **loader_platforms(cl_uint *count);
/* The same, and those loaded besides for `resume --device`. */
struct platform **loader_all_platforms(cl_uint *count);

/* Unloads every driver: their tables become empty, platforms and root devices lose their real
 * handles. Fails never; what stays is found by residue (shim/residue.c). */
void loader_unload(void);
/* Loads them again; each root device gets the handle of the device that it was made for (`own`, NULL
 * when that is gone). A driver that can't be had is a warning in the log, and found out by who needs
 * a device of it: loader_why says why. Then loader_place gives every root device the real handle and
 * the driver of the device where it lives. */
void loader_reload(void);
void loader_place(void);
/* Why the platform's driver could not be loaded; NULL: it was. */
const char *loader_why(const struct platform *platform);

#endif
