/* SPDX-License-Identifier: Apache-2.0 */
/* Build steps of programs: what was asked for, and what came of it. */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "state/program_ahead.h"
#include "state/program_make.h"

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

static void take_all(const struct program *program, struct build *build)
{
    unsigned version = program->object.driver->version;
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
        if (version >= 200)
            take_build_info(program, device, CL_PROGRAM_BUILD_GLOBAL_VARIABLE_TOTAL_SIZE, info);
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

/* Steps of the devices that are not about to be built; what failed before fails again. */
static void repeat_others(struct program *program, const struct targets *to, cl_program real,
                          cl_uint num_devices, struct device *const *devices)
{
    struct build *build = atomic_load(&program->build);
    for (cl_uint i = 0; i < program->num_devices; i++) {
        struct targets one = {
            .driver = to->driver, .context = to->context, .count = 1, .devices = &to->devices[i]};
        if (!listed(program->devices[i], num_devices, devices))
            make_step(&one, build->devices[i].recipe, real);
    }
}

cl_int program_genuine(struct program *program, cl_uint num_devices, struct device *const *devices)
{
    if (!program->stand_in)
        return CL_SUCCESS;
    /* The driver would say so of the program that this one stands in for. */
    if (atomic_load(&program->kernels) || program->origin->kind == ORIGIN_LINK)
        return CL_INVALID_OPERATION;
    struct recipe *recipe = program_recipe(program, STEP_NONE, NULL);
    cl_device_id *reals = calloc(program->num_devices, sizeof(cl_device_id));
    const struct targets to = {.driver = program->object.driver,
                               .context = context_real(program->context),
                               .count = program->num_devices,
                               .devices = reals};
    for (cl_uint i = 0; i < program->num_devices && reals; i++)
        reals[i] = device_real(program->devices[i]);
    cl_program real = NULL;
    cl_int err = recipe && reals ? make_origin(&to, recipe, &real) : CL_OUT_OF_HOST_MEMORY;
    if (err == CL_SUCCESS) {
        repeat_others(program, &to, real, num_devices, devices);
        program_release(program);
        program->object.real = real;
        program->stand_in = false;
    }
    free(reals);
    recipe_unref(recipe);
    return err;
}

/* The driver may list the devices in another order than we do. */
static bool fetch_order(struct program *program, cl_uint *order)
{
    cl_uint count = program->num_devices;
    cl_device_id *reals = calloc(count, sizeof *reals);
    cl_int err =
        reals ? program->object.driver->clGetProgramInfo(program_real(program), CL_PROGRAM_DEVICES,
                                                         count * sizeof *reals, reals, NULL)
              : CL_OUT_OF_HOST_MEMORY;
    for (cl_uint i = 0; i < count && err == CL_SUCCESS; i++) {
        order[i] = i;
        for (cl_uint j = 0; j < count; j++)
            if (reals[i] == device_real(program->devices[j]))
                order[i] = j;
    }
    free(reals);
    return err == CL_SUCCESS;
}

/* Both arrays have one entry for each device, in the driver's order. */
static cl_int fetch_binaries(struct program *program, size_t *sizes, unsigned char **bytes)
{
    const struct driver *driver = program->object.driver;
    cl_uint count = program->num_devices;
    cl_int err = driver->clGetProgramInfo(program_real(program), CL_PROGRAM_BINARY_SIZES,
                                          count * sizeof *sizes, sizes, NULL);
    bool any = false; /* rusticl dies when asked for binaries that are not there */
    for (cl_uint i = 0; i < count && err == CL_SUCCESS; i++) {
        any = any || sizes[i];
        if (sizes[i] && !(bytes[i] = malloc(sizes[i])))
            err = CL_OUT_OF_HOST_MEMORY;
    }
    if (err == CL_SUCCESS && any)
        err = driver->clGetProgramInfo(program_real(program), CL_PROGRAM_BINARIES,
                                       count * sizeof *bytes, bytes, NULL);
    return err;
}

/* Puts them into the build; the first of two threads wins, the other waits a few instructions. */
static void put_binaries(struct build *build, const cl_uint *order, const size_t *sizes,
                         unsigned char **bytes)
{
    unsigned none = 0;
    if (!atomic_compare_exchange_strong(&build->fetched, &none, 1)) {
        while (atomic_load(&build->fetched) != 2)
            sched_yield();
        return;
    }
    for (cl_uint i = 0; i < build->num_devices; i++) {
        build->devices[order[i]].binary = (struct blob){sizes[i], bytes[i]};
        bytes[i] = NULL;
    }
    atomic_store(&build->fetched, 2);
}

/* The same for a foreign build, at capture, when nobody else is there. */
static void put_here(struct build *build, const cl_uint *order, const size_t *sizes,
                     unsigned char **bytes)
{
    for (cl_uint i = 0; i < build->num_devices; i++) {
        build->devices[order[i]].here = (struct blob){sizes[i], bytes[i]};
        bytes[i] = NULL;
    }
    build->here = true;
}

static cl_int fetch(struct program *program,
                    void (*put)(struct build *, const cl_uint *, const size_t *, unsigned char **))
{
    struct build *build = atomic_load(&program->build);
    cl_uint count = program->num_devices;
    cl_uint *order = calloc(count, sizeof *order);
    size_t *sizes = calloc(count, sizeof *sizes);
    unsigned char **bytes = calloc(count, sizeof *bytes);
    cl_int err = CL_OUT_OF_HOST_MEMORY;
    if (order && sizes && bytes && fetch_order(program, order))
        err = fetch_binaries(program, sizes, bytes);
    if (err == CL_SUCCESS)
        put(build, order, sizes, bytes);
    for (cl_uint i = 0; i < count && bytes; i++)
        free(bytes[i]);
    free(bytes);
    free(sizes);
    free(order);
    return err;
}

cl_int program_fetch(struct program *program)
{
    struct build *build = atomic_load(&program->build);
    return atomic_load(&build->fetched) == 2 ? CL_SUCCESS : fetch(program, put_binaries);
}

cl_int program_fetch_here(struct program *program)
{
    struct build *build = atomic_load(&program->build);
    return build->here || !build->foreign ? CL_SUCCESS : fetch(program, put_here);
}

void build_forget_here(struct build *build)
{
    for (cl_uint i = 0; i < build->num_devices; i++) {
        free(build->devices[i].here.bytes);
        build->devices[i].here = (struct blob){0};
    }
    build->here = false;
}

struct kernel_facts *program_kernel_facts(struct program *program, const char *name)
{
    struct build *build = atomic_load(&program->build);
    for (size_t i = 0; i < build->num_kernels; i++)
        if (strcmp(build->kernels[i].name, name) == 0)
            return &build->kernels[i];
    return NULL;
}
