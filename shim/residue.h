/* SPDX-License-Identifier: Apache-2.0 */
/* What this process has open or mapped of GPU device nodes, and whose it is: the proof that a
 * driver has let go, and the last means to make it. */
#ifndef SHADOWCL_SHIM_RESIDUE_H
#define SHADOWCL_SHIM_RESIDUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/error.h"

/* One open descriptor or one mapping of a device node. */
struct node {
    int fd;               /* -1: a mapping */
    uintptr_t start, end; /* of the mapping */
    char *path;           /* owned; as /proc has it */
};

struct report;

struct residue {
    size_t count;
    struct node *nodes; /* owned */
};

/* Looks through /proc/self. Nodes are those of NVIDIA, DRI, KFD and Mali drivers under /dev, PCI
 * resource files, and the colon-separated patterns (fnmatch) of SHADOWCL_DEVICE_NODES. */
int residue_find(struct residue *out, struct error *err);
void residue_finish(struct residue *residue);
/* "fd 7 -> /dev/dri/card0", "mapping 7f…-7f… of /dev/nvidia0". */
void residue_describe(const struct node *node, char *text, size_t size);

/* Around a call in which a driver may open its nodes: what is open before, and is not known as a
 * driver's, is foreign; what is new afterwards is the driver's. Costs some tens of microseconds, so
 * of the application's own calls only the first are watched (`always` false). residue_leave gets
 * what residue_enter returned, and says whether anything was new. */
bool residue_enter(bool always);
bool residue_leave(bool watching);
/* For a thread that will never leave its call; with the gate closed, so that it is the only one.
 * Its driver's other threads may go on: from now on memory is put over mappings that are taken. */
bool residue_leave_all(void);
void residue_forked(void);

/* Fails, naming it, when something foreign stands: GL, Vulkan, CUDA, VA-API, or the program itself,
 * would hold the device after our release. Foreign is what was open before a driver could have
 * opened it, and what no driver has opened anything of the sort of. */
int residue_foreign(struct error *err);

/* Takes from an abandoned driver what it opened and did not close: a dummy is put over its
 * descriptors, PROT_NONE (or memory: residue_leave_all) over its mappings, and its threads that
 * sleep on a descriptor are woken once (a warning where they can't be). What is not known to be the
 * driver's is left alone. Returns how many were taken. */
size_t residue_take(const struct residue *residue, struct report *report);

#endif
