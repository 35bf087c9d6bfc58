/* SPDX-License-Identifier: Apache-2.0 */
/* Finds and loads drivers by the rules of cl_khr_icd, and unloads them again. */
#ifndef SHADOWCL_SHIM_LOADER_H
#define SHADOWCL_SHIM_LOADER_H

#include "shim/error.h"
#include "state/device.h"

/* Loads what there is, the first time; starts everything else of the shim. Re-entrant: a driver
 * that calls us while it starts sees no platforms. Never fails: no driver means no platform. */
void loader_start(void);
/* The shadow platforms, in the order in which the application sees them; borrowed. */
struct platform **loader_platforms(cl_uint *count);
/* The one that no platform stands for (OCL_ICD_DEFAULT_PLATFORM); NULL: there is none. */
struct platform *loader_default_platform(void);

void loader_forked(void);

/* Unloads every driver: their tables become empty, platforms and root devices lose their real
 * handles. Fails never; what stays is found by residue (shim/residue.c). */
void loader_unload(void);
/* Loads them again; each root device gets the handle of the device that it was made for (`own`,
 * NULL when that is gone). A driver that can't be had is a warning in the log, and found out by who
 * needs a device of it: loader_why says why. Then loader_place gives every root device the real
 * handle and the driver of the device where it lives. */
void loader_reload(void);
void loader_place(void);
/* Before a thread calls a driver that is in a namespace of its own, once for each such. */
void loader_ready_thread(void);
/* A call into the library does not come back: this instance is never called again, nor unloaded,
 * and the next is a fresh one. What gives its objects back does nothing from now on
 * (shim/silence.h). */
void loader_abandon(struct library *library);
/* How many there are. */
size_t loader_count(void);
/* The platform's devices, all of them; the driver may open their nodes for that. */
void loader_enumerate(struct platform *platform);
/* Before drivers are loaded for a mere look, while suspended: the instances for the next resume are
 * there all the same. Refuses as loader_prepare; the second after they were unloaded. */
int loader_spare(struct error *err);
void loader_spared(void);
/* Around a call in which the driver may open its device's nodes: see shim/residue.h. */
bool loader_watch(void);
void loader_watched(const struct driver *driver, bool watching);
/* The driver (NULL: some driver that is loaded) has had a device node open. One that stays mapped
 * after dlclose and has had a device can't be trusted to see devices afresh: the next reload takes
 * a fresh instance of it, in a link-map namespace of its own. */
void loader_note_device(const struct driver *driver);
/* What residue_foreign says, before loader_prepare. */
int loader_check_nodes(struct error *err);
/* Before a suspend: makes sure of a fresh instance where one will be needed. There are only so many
 * (static TLS, and glibc's 16 namespaces): the refusal says so while nothing has been torn down. */
int loader_prepare(struct error *err);
/* Why the platform's driver could not be loaded; NULL: it was. */
const char *loader_why(const struct platform *platform);

#endif
