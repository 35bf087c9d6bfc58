/* SPDX-License-Identifier: Apache-2.0 */
/* Where pocl's callbacks come in: a library of its own, which stays loaded. A worker of pocl's may
 * have the last reference to an object, and with it the callback, at any time after the driver was
 * unloaded; and a driver that is loaded again may lie at the same address. */
#ifndef TESTS_DRIVER_LANDING_H
#define TESTS_DRIVER_LANDING_H

#include <CL/cl.h>

struct landing;

/* A callback to be made with `data`, for the driver instance `owner`. NULL without memory. */
struct landing *landing_make(const void *owner, void (*function)(void *), void *data);
/* Instead of the callback, when it is known never to come. NULL is fine. */
void landing_cancel(struct landing *landing);
/* What pocl is given as the function, with the landing as its data. Both free the landing. */
void CL_CALLBACK landing_context(cl_context context, void *landing);
void CL_CALLBACK landing_mem(cl_mem mem, void *landing);
/* The instance goes: waits until none of its callbacks runs, and none will any more. */
void landing_close(const void *owner);

#endif
