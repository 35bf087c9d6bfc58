/* SPDX-License-Identifier: Apache-2.0 */
/* Shared virtual memory. Where every device of a context takes memory that is not its driver's own
 * (probed at the first allocation), SVM is memory of ours: it outlives the driver and nothing has
 * to be captured. Else it is the driver's, and a suspend is refused while it is in use. */
#ifndef SHADOWCL_STATE_SVM_H
#define SHADOWCL_STATE_SVM_H

#include "state/context.h"

struct svm {
    struct context *context; /* held */
    void *pointer;
    size_t size;
    cl_svm_mem_flags flags;
    cl_uint alignment; /* as given */
    bool own;          /* memory of ours */
};

/* §5.6.1: NULL where the driver would say so, or without memory. Inside the gate. */
void *svm_alloc(struct context *context, cl_svm_mem_flags flags, size_t size, cl_uint alignment);
/* Gives an allocation of that context back; other pointers are left alone. Inside the gate. */
void svm_free(struct context *context, void *pointer);
/* An allocation that an image tells of, in memory that is the caller's: holds the context. False
 * where another one lies there, or without memory. svm_disown forgets it. */
bool svm_adopt(const struct svm *svm);
void svm_disown(struct context *context, const void *pointer);
/* Is it within a live allocation? (CL_MEM_USES_SVM_POINTER) */
bool svm_contains(const void *pointer);

/* Do all devices of the context take memory that is not their own? */
bool svm_foreign(const struct context *context);
/* Another device may be there now. While the gate is closed. */
void svm_forget_findings(void);
/* May every live allocation be carried? */
int svm_carriable(struct error *err);
/* May another device have the allocations of the contexts that `from` is in? It is not asked to
 * touch our memory before it is used: what it says of itself decides, svm_check_rebuilt has the
 * last word. Looks from the `*next`th allocation on, and says where to go on after a -1. */
int svm_compatible(const struct device *from, const struct driver *driver, cl_device_id other,
                   size_t *next, struct error *err);
/* Does a device say of itself that it could take memory of ours? (state/svm_probe.c) */
bool svm_may_be_asked(const struct driver *driver, cl_device_id device);
/* After a rebuild, the gate still closed: does the device under each context take memory of ours?
 */
int svm_check_rebuilt(struct error *err);

size_t svm_count(void);
/* All of them, ordered by address: a copy for the caller to free. NULL without memory. While
 * nothing changes. */
struct svm *svm_list(size_t *count);
/* In the child. */
void svm_forked(void);

#endif
