/* SPDX-License-Identifier: Apache-2.0 */
/* A resume that does not wait for contents: the gate opens as soon as the objects stand, and their
 * contents go up in the order in which they are needed. A command waits for those that it uses; a
 * thread of ours brings up the rest and then frees staging memory. Until an object's contents are
 * up those in staging memory are the ones that count: also for a suspend that comes meanwhile, and
 * after an upload that failed. */
#ifndef SHADOWCL_SHIM_LAZY_H
#define SHADOWCL_SHIM_LAZY_H

#include <stdatomic.h>

#include "state/mem.h"

/* Objects whose contents are not up: 0, but for a while after such a resume. */
#define lazy_owed mem_num_owed

/* Brings the object's contents up, or waits until another thread has. Inside the gate. Returns what
 * the driver says; on an error the contents are still in staging memory. */
cl_int lazy_bring_up(struct mem *mem);

/* What a command is about to use must be up. */
static inline cl_int lazy_need(struct mem *mem)
{
    while (mem->parent)
        mem = mem->parent;
    return atomic_load_explicit(&mem->owed, memory_order_acquire) == MEM_UP ? CL_SUCCESS
                                                                            : lazy_bring_up(mem);
}

/* The same for two of them, either of which may be NULL. */
static inline cl_int lazy_need_both(struct mem *first, struct mem *second)
{
    cl_int err = first ? lazy_need(first) : CL_SUCCESS;
    return err == CL_SUCCESS && second ? lazy_need(second) : err;
}

/* The same for all there are: whatever a command may use. */
cl_int lazy_need_all(void);

/* The gate is open, and contents are owed: starts the thread. */
void lazy_start(void);
/* Returns once the thread is gone: staging memory is the caller's. Commands still bring up what
 * they use. */
void lazy_stop(void);
/* The same within so many seconds; else an error, and it goes on. */
int lazy_stop_by(double seconds, struct error *err);
/* The object is about to be destroyed. */
void lazy_forget(struct mem *mem);

/* Around a fork: the thread is not in the middle of a call of the driver's. */
void lazy_before_fork(void);
void lazy_after_fork(void);
void lazy_forked(void);

#endif
