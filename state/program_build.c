/* SPDX-License-Identifier: Apache-2.0 */
/* Build steps of programs: what was asked for, and what came of it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "state/program_ahead.h"
#include "state/program_make.h"
#include "state/query.h"

/* Has the constant been set again since? */
static bool is_overridden(const struct program_constant *newest,
                          const struct program_constant *constant)
{
    while (newest != constant && newest->constant.id != constant->constant.id)
        newest = newest->next;
    return newest != constant;
}

/* The constants as an array, oldest first: of each what was set last. */
static bool copy_constants(struct recipe *recipe, struct program *program)
{
    struct program_constant *first = atomic_load(&program->constants);
    cl_uint count = 0;
    for (struct program_constant *c = first; c; c = c->next)
        count += !is_overridden(first, c);
    if (count && !(recipe->constants = calloc(count, sizeof *recipe->constants)))
        return false;
    recipe->num_constants = count;
    for (struct program_constant *c = first; c && count; c = c->next) {
        if (is_overridden(first, c))
            continue;
        struct constant *to = &recipe->constants[--count];
        if (!(to->value = malloc(c->constant.size)))
            return false;
        to->id = c->constant.id;
        to->size = c->constant.size;
        memcpy(to->value, c->constant.value, to->size);
    }
    return true;
}

struct recipe *program_recipe(struct program *program, enum step step, const char *options)
{
    struct recipe *recipe = recipe_create(program->origin, step, options);
    if (!recipe || copy_constants(recipe, program))
        return recipe;
    recipe_unref(recipe);
    return NULL;
}

static bool listed(const struct device *device, cl_uint count, struct device *const *devices)
{
    for (cl_uint i = 0; i < count; i++)
        if (devices[i] == device)
            return true;
    return count == 0;
}

struct build *program_prepare(struct program *program, struct recipe *recipe, cl_uint num_devices,
                              struct device *const *devices)
{
    cl_uint count = program->num_devices;
    struct build *build = calloc(1, sizeof *build + count * sizeof *build->devices);
    if (!build)
        return NULL;
    build->older = atomic_load(&program->build);
    build->num_devices = count;
    for (cl_uint i = 0; i < count; i++)
        build->devices[i].recipe =
            recipe_ref(listed(program->devices[i], num_devices, devices) || !build->older
                           ? recipe
                           : build->older->devices[i].recipe);
    return build;
}

void build_destroy(struct build *build)
{
    if (!build)
        return;
    build_forget_ahead(build);
    for (cl_uint i = 0; i < build->num_devices; i++) {
        recipe_unref(build->devices[i].recipe);
        info_cache_finish(&build->devices[i].info);
        free(build->devices[i].binary.bytes);
        free(build->devices[i].here.bytes);
    }
    for (size_t i = 0; i < build->num_kernels; i++) {
        free(build->kernels[i].name);
        info_cache_finish(&build->kernels[i].info);
    }
    free(build->kernels);
    info_cache_finish(&build->info);
    free(build);
}

/* Asks the driver and remembers; an error leaves the answer out. */
static void take_info(const struct program *program, cl_program_info param, struct info_cache *to)
{
    const struct driver *driver = program->object.driver;
    size_t size = 0;
    if (driver->clGetProgramInfo(program_real(program), param, 0, NULL, &size) != CL_SUCCESS)
        return;
    char *bytes = calloc(1, size + 1);
    if (bytes &&
        driver->clGetProgramInfo(program_real(program), param, size, bytes, NULL) == CL_SUCCESS)
        info_cache_add(to, param, bytes, size);
    free(bytes);
}

static void take_build_info(const struct program *program, const struct device *device,
                            cl_program_build_info param, struct info_cache *to)
{
    const struct driver *driver = program->object.driver;
    size_t size = 0;
    if (driver->clGetProgramBuildInfo(program_real(program), device_real(device), param, 0, NULL,
                                      &size) != CL_SUCCESS)
        return;
    char *bytes = calloc(1, size + 1);
    if (bytes && driver->clGetProgramBuildInfo(program_real(program), device_real(device), param,
                                               size, bytes, NULL) == CL_SUCCESS)
        info_cache_add(to, param, bytes, size);
    free(bytes);
}

/* Without -cl-std a source is OpenCL C 1.x (OpenCL 3.0 §5.8.6), and that has no such variables. */
static bool is_older_language(const char *options)
{
    static const char option[] = "-cl-std=";
    for (const char *at = options; at && (at = strstr(at, option)); at++)
        if (strncmp(at + strlen(option), "CL1.", 4) != 0)
            return false;
    return true;
}

static bool may_have_variables(const struct recipe *recipe, unsigned depth)
{
    enum origin_kind kind = recipe->origin->kind;
    if (kind == ORIGIN_BINARY) {
        const struct recipe *known = origin_known_all(recipe->origin);
        return !known || depth == RECIPE_DEEPEST || may_have_variables(known, depth + 1);
    }
    for (cl_uint i = 0; i < recipe->num_inputs; i++)
        if (may_have_variables(recipe->inputs[i], depth))
            return true;
    return kind == ORIGIN_IL || (kind == ORIGIN_SOURCE && !is_older_language(recipe->options));
}

static bool is_uniform(const struct recipe *recipe, bool unknown, unsigned depth)
{
    enum origin_kind kind = recipe->origin->kind;
    if (recipe->options && strstr(recipe->options, "-cl-uniform-work-group-size"))
        return true;
    if (kind == ORIGIN_SOURCE)
        return is_older_language(recipe->options);
    if (kind == ORIGIN_BINARY) {
        const struct recipe *known = origin_known_all(recipe->origin);
        return known && depth < RECIPE_DEEPEST ? is_uniform(known, unknown, depth + 1) : unknown;
    }
    for (cl_uint i = 0; i < recipe->num_inputs; i++)
        if (!is_uniform(recipe->inputs[i], unknown, depth))
            return false;
    return recipe->num_inputs || unknown;
}

bool build_is_uniform(const struct build_device *device, bool unknown)
{
    return is_uniform(device->recipe, unknown, 0);
}

/* Program-scope variables that the driver does not tell of would be lost, and nobody know. */
static bool is_untold(const struct program *program, struct build *build, cl_uint i)
{
    const struct device *device = program->devices[i];
    return build_succeeded(&build->devices[i]) &&
           !info_cache_find(&build->devices[i].info, CL_PROGRAM_BUILD_GLOBAL_VARIABLE_TOTAL_SIZE) &&
           may_have_variables(build->devices[i].recipe, 0) &&
           query_device_number(device->object.driver, device_real(device),
                               CL_DEVICE_MAX_GLOBAL_VARIABLE_SIZE, 0) > 0;
}

static void take_all(struct program *program, struct build *build)
{
    unsigned version = program->object.driver->version;
    program->object.refusal = NULL;
    take_info(program, CL_PROGRAM_NUM_KERNELS, &build->info);
    take_info(program, CL_PROGRAM_KERNEL_NAMES, &build->info);
    if (version >= 220) {
        take_info(program, CL_PROGRAM_SCOPE_GLOBAL_CTORS_PRESENT, &build->info);
        take_info(program, CL_PROGRAM_SCOPE_GLOBAL_DTORS_PRESENT, &build->info);
    }
    for (cl_uint i = 0; i < program->num_devices; i++) {
        const struct device *device = program->devices[i];
        struct info_cache *info = &build->devices[i].info;
        take_build_info(program, device, CL_PROGRAM_BUILD_STATUS, info);
        take_build_info(program, device, CL_PROGRAM_BUILD_OPTIONS, info);
        take_build_info(program, device, CL_PROGRAM_BUILD_LOG, info);
        take_build_info(program, device, CL_PROGRAM_BINARY_TYPE, info);
        /* Oclgrind, of version 1.2, counts constant strings there. */
        if (version >= 200)
            take_build_info(program, device, CL_PROGRAM_BUILD_GLOBAL_VARIABLE_TOTAL_SIZE, info);
        if (version >= 200 && is_untold(program, build, i))
            program->object.refusal =
                "its driver does not tell whether it has program-scope variables, which can't be "
                "read back";
    }
}

void program_built(struct program *program, struct build *build)
{
    take_all(program, build);
    struct build *before = atomic_load(&program->build);
    if (before != build) {
        build->older = before;
        atomic_store(&program->build, build);
        build_forget_ahead(before);
    }
}

/* What failed before fails again. */
static cl_int try_step(const struct targets *to, const struct recipe *recipe, cl_program real)
{
    make_step(to, recipe, real);
    return CL_SUCCESS;
}

/* Steps of the devices that are not about to be built, then the constants for the one to come. */
static cl_int repeat_others(struct program *program, const struct targets *to, cl_program real,
                            cl_uint num_devices, struct device *const *devices)
{
    struct recipe *now = program_recipe(program, STEP_NONE, NULL);
    bool *others = calloc(program->num_devices, sizeof *others);
    cl_int err = CL_OUT_OF_HOST_MEMORY;
    for (cl_uint i = 0; i < program->num_devices && others; i++)
        others[i] = !listed(program->devices[i], num_devices, devices);
    if (others && now)
        err = make_steps(to, atomic_load(&program->build), others, try_step, real);
    if (err == CL_SUCCESS)
        err = make_constants(to, now, real);
    free(others);
    recipe_unref(now);
    return err;
}

cl_int program_genuine(struct program *program, cl_uint num_devices, struct device *const *devices,
                       cl_program *genuine)
{
    *genuine = program_real(program);
    if (!program->stand_in)
        return CL_SUCCESS;
    /* The driver would say so of the program that this one stands in for. */
    if (atomic_load(&program->kernels) || program->origin->kind == ORIGIN_LINK)
        return CL_INVALID_OPERATION;
    cl_device_id *reals = calloc(program->num_devices, sizeof(cl_device_id));
    const struct targets to = {.driver = program->object.driver,
                               .context = context_real(program->context),
                               .count = program->num_devices,
                               .devices = reals};
    for (cl_uint i = 0; i < program->num_devices && reals; i++)
        reals[i] = device_real(program->devices[i]);
    cl_program real = NULL;
    cl_int err = reals ? make_origin(&to, program->origin, &real) : CL_OUT_OF_HOST_MEMORY;
    if (err == CL_SUCCESS)
        err = repeat_others(program, &to, real, num_devices, devices);
    free(reals);
    if (err != CL_SUCCESS) {
        if (real)
            RELEASE(to.driver, clReleaseProgram, real);
        return err;
    }
    *genuine = real;
    return CL_SUCCESS;
}

void program_take_genuine(struct program *program, cl_program genuine)
{
    if (genuine == program_real(program))
        return;
    assert(!program->retired); /* it stands in once at most between a resume and a suspend */
    program->retired = program_real(program);
    program->object.real = genuine;
    program->stand_in = false;
}

cl_int program_try_constant(struct program *program, cl_uint id, size_t size, const void *value)
{
    const struct targets to = {.driver = program->object.driver,
                               .context = context_real(program->context)};
    cl_program real = NULL;
    if (program->origin->kind != ORIGIN_IL)
        return CL_INVALID_PROGRAM;
    cl_int err = make_origin(&to, program->origin, &real);
    if (err != CL_SUCCESS)
        return err;
    err = to.driver->clSetProgramSpecializationConstant(real, id, size, value);
    RELEASE(to.driver, clReleaseProgram, real);
    return err;
}

bool build_is_untried(const struct build_device *device)
{
    const struct recipe *recipe = device->recipe;
    enum origin_kind kind = recipe->origin->kind;
    return recipe->step == STEP_NONE && (kind == ORIGIN_SOURCE || kind == ORIGIN_IL);
}

bool build_succeeded(const struct build_device *device)
{
    if (build_is_untried(device))
        return false;
    const struct info_entry *status =
        info_cache_find((struct info_cache *)&device->info, CL_PROGRAM_BUILD_STATUS);
    return status && status->size == sizeof(cl_build_status) &&
           *(const cl_build_status *)(const void *)status->bytes == CL_BUILD_SUCCESS;
}

struct kernel_facts *program_kernel_facts(struct program *program, const char *name)
{
    struct build *build = atomic_load(&program->build);
    for (size_t i = 0; i < build->num_kernels; i++)
        if (strcmp(build->kernels[i].name, name) == 0)
            return &build->kernels[i];
    return NULL;
}
