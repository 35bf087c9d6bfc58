/* SPDX-License-Identifier: Apache-2.0 */
/* Making real programs from recipes. */
#ifndef SHADOWCL_STATE_PROGRAM_MAKE_H
#define SHADOWCL_STATE_PROGRAM_MAKE_H

#include "state/program.h"

/* The devices that real programs are made for; the handles are the driver's. */
struct targets {
    const struct driver *driver;
    cl_context context;
    cl_uint count;
    const cl_device_id *devices;
    /* Not those that the program's binaries are of: a driver may crash over another's. What a known
     * binary came from is followed at once. */
    bool elsewhere;
};

/* The real program as it was created, before any step. Not for ORIGIN_LINK. */
cl_int make_origin(const struct targets *to, const struct origin *origin, cl_program *real);
/* The recipe's constants alone, for a step that is still to come. */
cl_int make_constants(const struct targets *to, const struct recipe *recipe, cl_program real);
/* Compiles or builds it, with the recipe's constants; does nothing for STEP_NONE. */
cl_int make_step(const struct targets *to, const struct recipe *recipe, cl_program real);
typedef cl_int (*step_call)(const struct targets *, const struct recipe *, cl_program);
/* Calls once for the devices that had one step together, for those that are wanted, and in the
 * order in which the program did: constants add up, and pocl forgets a device that a later build
 * does not name. `wanted` has one for each of the build's devices, which are the targets; it is
 * used up. */
cl_int make_steps(const struct targets *to, const struct build *build, bool *wanted, step_call call,
                  cl_program real);
/* All of it; a link makes its inputs first, and lets them go. On a failed build step *real may be
 * there nevertheless, with its log; it is the caller's. */
cl_int make_program(const struct targets *to, const struct recipe *recipe, cl_program *real);

#endif
