/* SPDX-License-Identifier: Apache-2.0 */
/* What this process has open or mapped of GPU device nodes: the proof that a driver has let go. */
#ifndef SHADOWCL_SHIM_RESIDUE_H
#define SHADOWCL_SHIM_RESIDUE_H

#include <stddef.h>

#include "shim/error.h"

struct residue {
    size_t count;
    char **lines; /* owned: "fd 7 -> /dev/dri/card0", "mapping 7f…-7f… of /dev/nvidia0" */
};

/* Looks through /proc/self. Nodes are those of NVIDIA, DRI, KFD and Mali drivers under /dev, PCI
 * resource files, and the colon-separated patterns (fnmatch) of SHADOWCL_DEVICE_NODES. */
int residue_find(struct residue *out, struct error *err);
void residue_finish(struct residue *residue);

/* Remembers what is open now, before any driver is loaded: it is not the OpenCL driver's. */
void residue_baseline(void);
/* Fails, naming it, when something of the baseline still stands: GL, Vulkan, CUDA, VA-API, or the
 * program itself, would hold the device after our release. */
int residue_foreign(struct error *err);

#endif
