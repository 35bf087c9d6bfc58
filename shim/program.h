/* SPDX-License-Identifier: Apache-2.0 */
/* What the wrappers of §5.8 share. */
#ifndef SHADOWCL_SHIM_PROGRAM_H
#define SHADOWCL_SHIM_PROGRAM_H

#include "state/program.h"

/* Are all of them devices of the context? CL_INVALID_DEVICE otherwise. */
cl_int devices_check(const struct context *context, cl_uint count, const cl_device_id *devices);
/* The driver's handles of devices that were checked; the caller frees them. NULL without memory. */
cl_device_id *devices_real(cl_uint count, const cl_device_id *devices);

/* Are they all of that driver? No other can be given them: CL_INVALID_PROGRAM. Inside the gate. */
cl_int programs_check_driver(const struct driver *driver, cl_uint count,
                             const cl_program *programs);

/* An application's callback for the end of a step. *notify is NULL when none is wanted; false
 * without memory or thread. */
struct notify_post;
bool notify_prepare(struct notify_post **notify, program_notify function, void *data);
/* Posts it with the program, or frees it when the step could not begin. A step that could is
 * announced also when it failed. */
void notify_finish(struct notify_post *notify, struct program *program, bool begun);

#endif
