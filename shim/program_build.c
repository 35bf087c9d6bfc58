/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.8.2 to §5.8.6: building, compiling and linking programs. A step with a callback is
 * carried out at once nevertheless, and the callback posted: the specification lets a driver do so,
 * and no build is then in progress when a suspend comes. */
#include <stdlib.h>
#include <string.h>

#include "shim/callback.h"
#include "shim/cancel.h"
#include "shim/export.h"
#include "shim/gate.h"
#include "shim/handlers.h"
#include "shim/loader.h"
#include "shim/program.h"

/* An application's callback on its way to the callback thread. */
struct notify_post {
    struct post post;
    struct program *program; /* held */
    program_notify function;
    void *data;
};

static void run_notify(struct post *post)
{
    struct notify_post *notify = (struct notify_post *)post;
    notify->function((cl_program)notify->program, notify->data);
    object_drop(notify->program);
    free(notify);
}

bool notify_prepare(struct notify_post **notify, program_notify function, void *data)
{
    *notify = NULL;
    if (!function)
        return true;
    if (!callback_prepare() || !(*notify = malloc(sizeof **notify)))
        return false;
    **notify = (struct notify_post){.post.run = run_notify, .function = function, .data = data};
    return true;
}

void notify_finish(struct notify_post *notify, struct program *program, bool begun)
{
    if (!notify)
        return;
    if (!begun || !program) {
        free(notify);
        return;
    }
    notify->program = object_hold(program);
    callback_post(&notify->post);
}

/* Has the driver tried (and maybe failed), rather than refused to begin? */
static bool has_begun(cl_int status)
{
    return status == CL_SUCCESS || status == CL_BUILD_PROGRAM_FAILURE ||
           status == CL_COMPILE_PROGRAM_FAILURE || status == CL_LINK_PROGRAM_FAILURE;
}

static cl_int check_step(const struct context *context, cl_uint num_devices,
                         const cl_device_id *devices, program_notify notify, void *data)
{
    if ((num_devices == 0) != (devices == NULL) || (!notify && data))
        return CL_INVALID_VALUE;
    return devices_check(context, num_devices, devices);
}

/* The devices must be the program's. */
static cl_int check_program_devices(const struct program *program, cl_uint count,
                                    const cl_device_id *devices)
{
    for (cl_uint i = 0; i < count; i++)
        if (program_device_index(program, (struct device *)devices[i]) < 0)
            return CL_INVALID_DEVICE;
    return CL_SUCCESS;
}

/* One compile or build step. */
struct step_call {
    struct program *program;
    cl_program real; /* the driver's that it is for: the program's, or the genuine one to be */
    struct recipe *recipe;
    cl_uint num_devices;
    const cl_device_id *devices;
    cl_program *headers; /* the driver's; NULL: build */
    const char **names;
};

static cl_int call_driver(const struct step_call *step, const cl_device_id *reals)
{
    const struct driver *driver = step->program->object.driver;
    const struct recipe *recipe = step->recipe;
    if (recipe->step == STEP_BUILD)
        return driver->clBuildProgram(step->real, step->num_devices, reals, recipe->options, NULL,
                                      NULL);
    return driver->clCompileProgram(step->real, step->num_devices, reals, recipe->options,
                                    recipe->num_headers, recipe->num_headers ? step->headers : NULL,
                                    recipe->num_headers ? step->names : NULL, NULL, NULL);
}

/* A binary that was replaced by what it came from has been built, with the options of then. */
static bool is_built_already(const struct step_call *step)
{
    return step->program->from_known && step->recipe->step == STEP_BUILD;
}

static bool names(const struct step_call *step, const struct device *device)
{
    for (cl_uint i = 0; i < step->num_devices; i++)
        if ((struct device *)step->devices[i] == device)
            return true;
    return !step->num_devices;
}

/* A driver may answer otherwise after it has tried (CL_INVALID_BUILD_OPTIONS, of options that its
 * compiler does not know): what the program was is lost then as well. */
static bool has_failed(const struct step_call *step)
{
    const struct driver *driver = step->program->object.driver;
    for (cl_uint i = 0; i < step->program->num_devices; i++) {
        struct device *device = step->program->devices[i];
        cl_build_status status = CL_BUILD_NONE;
        if (!names(step, device))
            continue;
        driver->clGetProgramBuildInfo(step->real, device_real(device), CL_PROGRAM_BUILD_STATUS,
                                      sizeof status, &status, NULL);
        if (status != CL_BUILD_ERROR)
            return false;
    }
    return true;
}

/* *build becomes the program's once the step has begun, and is NULL then. */
static cl_int carry_out(struct step_call *step, const cl_device_id *reals, struct build **build)
{
    struct program *program = step->program;
    cl_int status = program_genuine(program, step->num_devices,
                                    (struct device *const *)step->devices, &step->real);
    if (status != CL_SUCCESS)
        return status;
    if (!is_built_already(step))
        status = call_driver(step, reals);
    if (has_begun(status) || has_failed(step)) {
        program_take_genuine(program, step->real);
        program_built(program, *build);
        *build = NULL;
    } else if (step->real != program_real(program)) {
        RELEASE(program->object.driver, clReleaseProgram, step->real);
    }
    return status;
}

static cl_int take_step(struct step_call *step)
{
    struct program *program = step->program;
    cl_device_id *reals = step->num_devices ? devices_real(step->num_devices, step->devices) : NULL;
    if (step->num_devices && !reals)
        return CL_OUT_OF_HOST_MEMORY;
    program_begin_step(program);
    recipe_number(step->recipe);
    struct build *build = program_prepare(program, step->recipe, step->num_devices,
                                          (struct device *const *)step->devices);
    cl_int status = build ? carry_out(step, reals, &build) : CL_OUT_OF_HOST_MEMORY;
    program_end_step(program);
    build_destroy(build);
    free(reals);
    return status;
}

EXPORT cl_int CL_API_CALL clBuildProgram(cl_program program, cl_uint num_devices,
                                         const cl_device_id *device_list, const char *options,
                                         program_notify pfn_notify, void *user_data)
{
    struct program *object = program_check(program);
    struct notify_post *notify;
    if (!object)
        return CL_INVALID_PROGRAM;
    cl_int status = check_step(object->context, num_devices, device_list, pfn_notify, user_data);
    if (status == CL_SUCCESS)
        status = check_program_devices(object, num_devices, device_list);
    if (status != CL_SUCCESS)
        return status;
    if (!notify_prepare(&notify, pfn_notify, user_data))
        return CL_OUT_OF_HOST_MEMORY;
    NOT_CANCELLED();
    GATE(clBuildProgram);
    KEEP_HANDLERS();
    struct recipe *recipe = program_recipe(object, STEP_BUILD, options);
    status = CL_OUT_OF_HOST_MEMORY;
    if (recipe)
        status = take_step(&(struct step_call){.program = object,
                                               .recipe = recipe,
                                               .num_devices = num_devices,
                                               .devices = device_list});
    recipe_unref(recipe);
    notify_finish(notify, object, has_begun(status));
    return status;
}

static cl_int check_headers(cl_uint count, const cl_program *headers, const char **names)
{
    if ((count == 0) != (headers == NULL) || (count == 0) != (names == NULL))
        return CL_INVALID_VALUE;
    for (cl_uint i = 0; i < count; i++) {
        if (!program_check(headers[i]))
            return CL_INVALID_PROGRAM;
        if (!names[i])
            return CL_INVALID_VALUE;
    }
    return CL_SUCCESS;
}

static bool record_headers(struct recipe *recipe, cl_uint count, const cl_program *headers,
                           const char **names)
{
    if (!recipe_set_headers(recipe, count))
        return false;
    for (cl_uint i = 0; i < count; i++) {
        recipe->headers[i].origin = origin_ref(((struct program *)headers[i])->origin);
        if (!(recipe->headers[i].name = strdup(names[i])))
            return false;
    }
    return true;
}

/* A header's program may stand in for one with a source: the driver then gets one with it. */
static cl_program header_for_driver(struct program *header, cl_int *status)
{
    const struct driver *driver = header->object.driver;
    const struct origin *origin = header->origin;
    const char *text = origin->text;
    if (header->stand_in && origin->kind == ORIGIN_SOURCE)
        return driver->clCreateProgramWithSource(context_real(header->context), 1, &text,
                                                 &origin->size, status);
    *status = driver->clRetainProgram(program_real(header));
    return program_real(header);
}

cl_int programs_check_driver(const struct driver *driver, cl_uint count, const cl_program *programs)
{
    for (cl_uint i = 0; i < count; i++)
        if (((struct program *)programs[i])->object.driver != driver)
            return CL_INVALID_PROGRAM;
    return CL_SUCCESS;
}

static cl_int compile(struct step_call *step, const cl_program *headers)
{
    cl_uint count = step->recipe->num_headers;
    const struct driver *driver = step->program->object.driver;
    cl_program *reals = calloc(count + 1, sizeof(cl_program));
    cl_int status = reals ? programs_check_driver(driver, count, headers) : CL_OUT_OF_HOST_MEMORY;
    cl_uint made = 0;
    for (; made < count && status == CL_SUCCESS; made++)
        reals[made] = header_for_driver((struct program *)headers[made], &status);
    step->headers = reals;
    if (status == CL_SUCCESS)
        status = take_step(step);
    for (cl_uint i = 0; i < made; i++)
        if (reals[i])
            RELEASE(driver, clReleaseProgram, reals[i]);
    free(reals);
    return status;
}

EXPORT cl_int CL_API_CALL clCompileProgram(cl_program program, cl_uint num_devices,
                                           const cl_device_id *device_list, const char *options,
                                           cl_uint num_input_headers,
                                           const cl_program *input_headers,
                                           const char **header_include_names,
                                           program_notify pfn_notify, void *user_data)
{
    struct program *object = program_check(program);
    struct notify_post *notify;
    if (!object)
        return CL_INVALID_PROGRAM;
    cl_int status = check_step(object->context, num_devices, device_list, pfn_notify, user_data);
    if (status == CL_SUCCESS)
        status = check_program_devices(object, num_devices, device_list);
    if (status == CL_SUCCESS)
        status = check_headers(num_input_headers, input_headers, header_include_names);
    if (status != CL_SUCCESS)
        return status;
    if (!notify_prepare(&notify, pfn_notify, user_data))
        return CL_OUT_OF_HOST_MEMORY;
    NOT_CANCELLED();
    GATE(clCompileProgram);
    KEEP_HANDLERS();
    struct recipe *recipe = program_recipe(object, STEP_COMPILE, options);
    struct step_call step = {.program = object,
                             .recipe = recipe,
                             .num_devices = num_devices,
                             .devices = device_list,
                             .names = header_include_names};
    status = CL_OUT_OF_HOST_MEMORY;
    if (recipe && record_headers(recipe, num_input_headers, input_headers, header_include_names))
        status = compile(&step, input_headers);
    recipe_unref(recipe);
    notify_finish(notify, object, has_begun(status));
    return status;
}

EXPORT cl_int CL_API_CALL clUnloadPlatformCompiler(cl_platform_id platform)
{
    struct platform *object = platform_check(platform);
    if (!object)
        return CL_INVALID_PLATFORM;
    NOT_CANCELLED();
    GATE(clUnloadPlatformCompiler);
    /* A hint. Nothing is loaded of a platform that is not there. */
    const struct driver *driver = object->object.driver;
    return driver->clUnloadPlatformCompiler ? driver->clUnloadPlatformCompiler(driver->platform)
                                            : CL_SUCCESS;
}

/* Deprecated by 1.2, a hint: for every platform. */
EXPORT cl_int CL_API_CALL clUnloadCompiler(void)
{
    cl_uint count = 0;
    NOT_CANCELLED();
    GATE(clUnloadCompiler);
    struct platform **platforms = loader_platforms(&count);
    for (cl_uint i = 0; i < count; i++) {
        const struct driver *driver = platforms[i]->object.driver;
        if (driver->clUnloadPlatformCompiler)
            driver->clUnloadPlatformCompiler(driver->platform);
    }
    return CL_SUCCESS;
}
