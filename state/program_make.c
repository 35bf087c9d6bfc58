/* SPDX-License-Identifier: Apache-2.0 */
/* Follows recipes: creates, compiles, builds and links real programs. */
#include "state/program_make.h"

#include <stdlib.h>

#include "shim/phase.h"

/* The program that is made goes to *real in the call itself: it is known to who is left there. */
static void from_binaries(const struct targets *to, const struct origin *origin, cl_program *real,
                          cl_int *err)
{
    *err = CL_INVALID_BINARY;
    if (origin->num_binaries != to->count)
        return;
    size_t *sizes = calloc(to->count, sizeof *sizes);
    const unsigned char **bytes = calloc(to->count, sizeof *bytes);
    *err = CL_OUT_OF_HOST_MEMORY;
    for (cl_uint i = 0; i < to->count && sizes && bytes; i++) {
        sizes[i] = origin->binaries[i].size;
        bytes[i] = origin->binaries[i].bytes;
    }
    if (sizes && bytes)
        CALL(*real = to->driver->clCreateProgramWithBinary(to->context, to->count, to->devices,
                                                           sizes, bytes, NULL, err));
    free(bytes);
    free(sizes);
}

static void from_il(const struct targets *to, const struct origin *origin, cl_program *real,
                    cl_int *err)
{
    const struct driver *driver = to->driver;
    if (driver->clCreateProgramWithIL && driver->version >= 210) {
        CALL(*real = driver->clCreateProgramWithIL(to->context, origin->text, origin->size, err));
        return;
    }
    clCreateProgramWithILKHR_fn create =
        (clCreateProgramWithILKHR_fn)driver_extension(driver, "clCreateProgramWithILKHR");
    *err = CL_INVALID_OPERATION;
    if (create)
        CALL(*real = create(to->context, origin->text, origin->size, err));
}

static void create(const struct targets *to, const struct origin *origin, cl_program *real,
                   cl_int *err)
{
    const struct driver *driver = to->driver;
    const char *text = origin->text;
    *real = NULL;
    *err = CL_INVALID_OPERATION;
    switch (origin->kind) {
    case ORIGIN_SOURCE:
        CALL(*real = driver->clCreateProgramWithSource(to->context, 1, &text, &origin->size, err));
        break;
    case ORIGIN_IL:
        from_il(to, origin, real, err);
        break;
    case ORIGIN_BINARY:
        from_binaries(to, origin, real, err);
        break;
    case ORIGIN_BUILT_IN:
        if (driver->clCreateProgramWithBuiltInKernels)
            CALL(*real = driver->clCreateProgramWithBuiltInKernels(to->context, to->count,
                                                                   to->devices, text, err));
        break;
    case ORIGIN_LINK:
        break;
    }
}

cl_int make_constants(const struct targets *to, const struct recipe *recipe, cl_program real)
{
    cl_int err = CL_SUCCESS;
    for (cl_uint i = 0; i < recipe->num_constants && err == CL_SUCCESS; i++) {
        const struct constant *constant = &recipe->constants[i];
        err = to->driver->clSetProgramSpecializationConstant
                  ? CALL(to->driver->clSetProgramSpecializationConstant(
                        real, constant->id, constant->size, constant->value))
                  : CL_INVALID_OPERATION;
    }
    return err;
}

cl_int make_origin(const struct targets *to, const struct origin *origin, cl_program *real)
{
    cl_int err;
    phase_beat();
    create(to, origin, real, &err);
    if (*real && err != CL_SUCCESS) {
        cl_program useless = *real;
        *real = NULL;
        CALL_RELEASE(to->driver, clReleaseProgram, useless);
    }
    return err;
}

static void release_all(const struct targets *to, cl_program *programs, cl_uint count)
{
    for (cl_uint i = 0; i < count && programs; i++)
        if (programs[i])
            CALL_RELEASE(to->driver, clReleaseProgram, programs[i]);
    free(programs);
}

/* The headers' programs exist for the call only: those of the application may stand in for others,
 * and then have no source. */
static cl_int compile(const struct targets *to, const struct recipe *recipe, cl_program real)
{
    cl_uint count = recipe->num_headers;
    cl_program *headers = calloc(count + 1, sizeof(cl_program));
    const char **names = calloc(count + 1, sizeof(char *));
    cl_int err = headers && names ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
    for (cl_uint i = 0; i < count && err == CL_SUCCESS; i++) {
        names[i] = recipe->headers[i].name;
        create(to, recipe->headers[i].origin, &headers[i], &err);
    }
    if (err == CL_SUCCESS)
        err = CALL(to->driver->clCompileProgram(real, to->count, to->devices, recipe->options,
                                                count, count ? headers : NULL, count ? names : NULL,
                                                NULL, NULL));
    release_all(to, headers, count);
    free(names);
    return err;
}

cl_int make_step(const struct targets *to, const struct recipe *recipe, cl_program real)
{
    if (recipe->step != STEP_COMPILE && recipe->step != STEP_BUILD)
        return CL_SUCCESS;
    cl_int err = make_constants(to, recipe, real);
    if (err != CL_SUCCESS)
        return err;
    phase_beat();
    if (recipe->step == STEP_COMPILE)
        return compile(to, recipe, real);
    return CALL(
        to->driver->clBuildProgram(real, to->count, to->devices, recipe->options, NULL, NULL));
}

/* The one that was made first, of the devices that are wanted. NULL: none is. */
static const struct recipe *oldest(const struct build *build, const bool *wanted)
{
    const struct recipe *first = NULL;
    for (cl_uint i = 0; i < build->num_devices; i++) {
        const struct recipe *recipe = build->devices[i].recipe;
        if (wanted[i] && (!first || recipe->number < first->number))
            first = recipe;
    }
    return first;
}

cl_int make_steps(const struct targets *to, const struct build *build, bool *wanted, step_call call,
                  cl_program real)
{
    cl_device_id *devices = calloc(to->count + 1, sizeof(cl_device_id));
    cl_int err = devices ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
    const struct recipe *recipe;
    while (err == CL_SUCCESS && (recipe = oldest(build, wanted))) {
        struct targets group = *to;
        group.count = 0;
        group.devices = devices;
        for (cl_uint i = 0; i < to->count; i++) {
            if (!wanted[i] || build->devices[i].recipe != recipe)
                continue;
            devices[group.count++] = to->devices[i];
            wanted[i] = false;
        }
        err = call(&group, recipe, real);
    }
    free(devices);
    return err;
}

static cl_int make(const struct targets *to, const struct recipe *recipe, unsigned depth,
                   cl_program *real);

static cl_int link_inputs(const struct targets *to, const struct recipe *recipe, unsigned depth,
                          cl_program *real)
{
    cl_uint count = recipe->num_inputs;
    cl_program *inputs = calloc(count + 1, sizeof(cl_program));
    cl_int err = inputs ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
    for (cl_uint i = 0; i < count && err == CL_SUCCESS; i++)
        err = make(to, recipe->inputs[i], depth, &inputs[i]);
    phase_beat();
    if (err == CL_SUCCESS)
        CALL(*real = to->driver->clLinkProgram(to->context, to->count, to->devices, recipe->options,
                                               count, inputs, NULL, NULL, &err));
    release_all(to, inputs, count);
    return err;
}

/* `depth`: how many binaries were replaced by what they came from. */
static cl_int make(const struct targets *to, const struct recipe *recipe, unsigned depth,
                   cl_program *real)
{
    const struct origin *origin = recipe->origin;
    *real = NULL;
    if (origin->kind == ORIGIN_LINK)
        return recipe->mixed ? CL_INVALID_OPERATION : link_inputs(to, recipe, depth, real);
    const struct recipe *known = NULL;
    if (origin->kind == ORIGIN_BINARY && depth < RECIPE_DEEPEST)
        known = origin_known_all(origin);
    if (known && to->elsewhere)
        return make(to, known, depth + 1, real);
    cl_int err = make_origin(to, origin, real);
    if (err == CL_SUCCESS)
        return make_step(to, recipe, *real);
    return known ? make(to, known, depth + 1, real) : err;
}

cl_int make_program(const struct targets *to, const struct recipe *recipe, cl_program *real)
{
    return make(to, recipe, 0, real);
}
