/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.8.3 Linking: makes a new program, which remembers what its inputs were. */
#include <stdlib.h>

#include "shim/cancel.h"
#include "shim/export.h"
#include "shim/gate.h"
#include "shim/handlers.h"
#include "shim/program.h"

static cl_int check_link(const struct context *context, cl_uint num_devices,
                         const cl_device_id *devices, cl_uint num_inputs, const cl_program *inputs,
                         program_notify notify, void *data)
{
    if ((num_devices == 0) != (devices == NULL) || !num_inputs || !inputs || (!notify && data))
        return CL_INVALID_VALUE;
    for (cl_uint i = 0; i < num_inputs; i++)
        if (!program_check(inputs[i]))
            return CL_INVALID_PROGRAM;
    return devices_check(context, num_devices, devices);
}

/* What a link is made for (no devices: all for which the inputs are compiled), and of. */
struct link_call {
    cl_uint num_devices, num_inputs;
    const cl_device_id *devices;
    const cl_program *inputs;
};

/* Is the input linked for its i-th device? */
static bool is_linked(const struct link_call *call, const struct program *input,
                      const struct build *build, cl_uint i)
{
    /* A loaded binary has had no step. */
    if (input->origin->kind != ORIGIN_BINARY && !build_succeeded(&build->devices[i]))
        return false;
    for (cl_uint j = 0; j < call->num_devices; j++)
        if ((struct device *)call->devices[j] == input->devices[i])
            return true;
    return !call->num_devices;
}

/* The recipe of an input as it is now; *mixed when the devices have different ones. */
static struct recipe *input_recipe(const struct link_call *call, struct program *input, bool *mixed)
{
    struct build *build = atomic_load(&input->build);
    struct recipe *first = NULL;
    for (cl_uint i = 0; i < build->num_devices; i++) {
        struct recipe *recipe = build->devices[i].recipe;
        if (!is_linked(call, input, build, i))
            continue;
        first = first ? first : recipe;
        if (recipe != first)
            *mixed = true;
    }
    return recipe_ref(first ? first : build->devices[0].recipe);
}

static struct recipe *link_recipe(const char *options, const struct link_call *call)
{
    struct origin *origin = origin_create(ORIGIN_LINK, NULL, 0);
    struct recipe *recipe = origin ? recipe_create(origin, STEP_LINK, options) : NULL;
    origin_unref(origin);
    if (!recipe || !recipe_set_inputs(recipe, call->num_inputs)) {
        recipe_unref(recipe);
        return NULL;
    }
    for (cl_uint i = 0; i < call->num_inputs; i++)
        recipe->inputs[i] = input_recipe(call, (struct program *)call->inputs[i], &recipe->mixed);
    return recipe;
}

/* A shadow with the recipe as its only build. */
static struct program *create(struct context *context, const struct link_call *call,
                              struct recipe *recipe)
{
    struct program *program = program_create(context, origin_ref(recipe->origin), call->num_devices,
                                             (struct device *const *)call->devices);
    if (!program)
        return NULL;
    struct build *build = program_prepare(program, recipe, 0, NULL);
    if (!build) {
        program_discard(program);
        return NULL;
    }
    atomic_store(&program->build, build);
    return program;
}

static cl_program call_driver(const struct program *program, const struct link_call *call,
                              const struct recipe *recipe, cl_int *status)
{
    cl_uint count = call->num_inputs;
    cl_device_id *reals = devices_real(call->num_devices, call->devices);
    cl_program *programs = calloc(count, sizeof(cl_program));
    cl_program real = NULL;
    *status = CL_OUT_OF_HOST_MEMORY;
    for (cl_uint i = 0; i < count && programs; i++)
        programs[i] = program_real((struct program *)call->inputs[i]);
    if (reals && programs)
        real = program->object.driver->clLinkProgram(
            context_real(program->context), call->num_devices, call->num_devices ? reals : NULL,
            recipe->options, count, programs, NULL, NULL, status);
    free(programs);
    free(reals);
    return real;
}

/* A failed link gives a program too, where the driver does: its log tells why. */
static cl_program link_program(struct context *context, const struct link_call *call,
                               struct recipe *recipe, cl_int *status)
{
    *status = programs_check_driver(context->object.driver, call->num_inputs, call->inputs);
    if (*status != CL_SUCCESS)
        return NULL;
    struct program *program = create(context, call, recipe);
    *status = CL_OUT_OF_HOST_MEMORY;
    if (!program)
        return NULL;
    program->object.real = call_driver(program, call, recipe, status);
    if (!program->object.real) {
        program_discard(program);
        return NULL;
    }
    program_built(program, atomic_load(&program->build));
    object_publish(program);
    return (cl_program)program;
}

EXPORT cl_program CL_API_CALL clLinkProgram(cl_context context, cl_uint num_devices,
                                            const cl_device_id *device_list, const char *options,
                                            cl_uint num_input_programs,
                                            const cl_program *input_programs,
                                            program_notify pfn_notify, void *user_data,
                                            cl_int *errcode_ret)
{
    struct context *owner = context_check(context);
    cl_program program = NULL;
    struct notify_post *notify = NULL;
    cl_int status = CL_INVALID_CONTEXT;
    if (owner)
        status = check_link(owner, num_devices, device_list, num_input_programs, input_programs,
                            pfn_notify, user_data);
    if (status == CL_SUCCESS && !notify_prepare(&notify, pfn_notify, user_data))
        status = CL_OUT_OF_HOST_MEMORY;
    if (status == CL_SUCCESS) {
        NOT_CANCELLED();
        GATE(clLinkProgram);
        KEEP_HANDLERS();
        struct link_call call = {num_devices, num_input_programs, device_list, input_programs};
        struct recipe *recipe = link_recipe(options, &call);
        status = CL_OUT_OF_HOST_MEMORY;
        if (recipe)
            program = link_program(owner, &call, recipe, &status);
        recipe_unref(recipe);
    }
    notify_finish(notify, (struct program *)program, program != NULL);
    if (errcode_ret)
        *errcode_ret = status;
    return program;
}
