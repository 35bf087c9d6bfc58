/* SPDX-License-Identifier: Apache-2.0 */
/* What this process has open or mapped of GPU device nodes, and whose it is: the proof that a
 * driver has let go, and the last means to make it. */
#ifndef SHADOWCL_SHIM_RESIDUE_H
#define SHADOWCL_SHIM_RESIDUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/error.h"

/* Of a file, or of a device. Two that are not known are never the same. */
struct identity {
    uint64_t device, inode;
};

bool identity_same(const struct identity *a, const struct identity *b);

/* One open descriptor or one mapping of a device node. */
struct node {
    int fd;               /* -1: a mapping */
    uintptr_t start, end; /* of the mapping */
    char *path;           /* owned; as /proc has it */
    /* That stays, whatever becomes of the name, which is `… (deleted)` once the device has gone. */
    struct identity file;
    /* Which device: a node's number, or (a file that stands for one) the file; not of a mapping. */
    struct identity of;
};

struct report;

struct residue {
    size_t count;
    struct node *nodes; /* owned */
};

/* Looks through /proc/self. Nodes are those of NVIDIA, DRI, KFD and Mali drivers under /dev, PCI
 * resource files, and what config.device_nodes says. */
int residue_find(struct residue *out, struct error *err);
void residue_finish(struct residue *residue);
/* "fd 7 -> /dev/dri/card0", "mapping 7f…-7f… of /dev/nvidia0". */
void residue_describe(const struct node *node, char *text, size_t size);

/* Around a call in which a driver may open its nodes: what is new afterwards came in it, and is the
 * driver's beyond doubt when no other thread of the program has run meanwhile. Costs some tens of
 * microseconds, so of the application's own calls the first are watched, and later those that come
 * after a while (`always` false). residue_leave gets what residue_enter returned, and says whether
 * anything was new. */
bool residue_enter(bool always);
bool residue_leave(bool watching);
/* For a thread that will never leave its call; with the gate closed, so that it is the only one.
 * Its driver's other threads may go on: from now on memory is put over mappings that are taken. */
bool residue_leave_all(void);
/* A driver is not closed, and a thread is in it that may come back from where it is: from now on
 * memory is put over mappings that are taken. */
void residue_give_up(void);
void residue_forked(void);

/* Fails, naming it, when something stands that is not a driver's, or of which it can't be told: GL,
 * Vulkan, CUDA, VA-API or the program itself would hold the device after our release. Not a
 * driver's is what was open when there was none, and what came outside of the watched calls and is
 * of a sort of which no driver has opened any. It can't be told of what came outside of these
 * calls, or while other threads ran as well, in a program that has a library in use for such
 * devices beside OpenCL; or when it has outlived a release. SHADOWCL_NODE_OWNER decides where it is
 * set. *unseen: among what is the drivers' is some that none was seen to open the
 * like of. */
int residue_foreign(bool *unseen, struct error *err);
/* Whose each of them is: `foreign` is what such a refusal would say of it, NULL of a driver's. */
typedef void residue_taker(void *data, const struct node *node, const struct error *foreign);
int residue_tell(residue_taker *take, void *data, struct error *err);

/* Takes from an abandoned driver what it opened and did not close: a dummy is put over its
 * descriptors, PROT_NONE (or memory: residue_leave_all) over its mappings, and its threads that
 * sleep on a descriptor are woken once (a warning where they can't be). Of what came outside of the
 * watched calls that is only what is of a device of which the driver has kept others as well. What
 * is not the driver's, or may not be, is left alone. Returns how many were taken. */
size_t residue_take(const struct residue *residue, struct report *report);
/* The drivers have been let go, and this is left. */
void residue_let_go(const struct residue *left);

#endif
