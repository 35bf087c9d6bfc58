/* SPDX-License-Identifier: Apache-2.0 */
/* Programs across a suspend: from the binary where the device is the same, or where one was made
 * for the other device beforehand; else by the recipe. */
#include <stdlib.h>
#include <string.h>

#include "shim/phase.h"

#include "state/kernel.h"
#include "state/program_ahead.h"
#include "state/program_make.h"

static void *info_of(struct info_cache *info, cl_uint param, size_t size)
{
    const struct info_entry *entry = info_cache_find(info, param);
    return entry && entry->size == size ? (void *)entry->bytes : NULL;
}

static cl_program_binary_type binary_type(const struct build_device *device)
{
    cl_program_binary_type *type = info_of((struct info_cache *)&device->info,
                                           CL_PROGRAM_BINARY_TYPE, sizeof(cl_program_binary_type));
    return type ? *type : CL_PROGRAM_BINARY_TYPE_NONE;
}

bool program_failed(struct program *program)
{
    struct build *build = atomic_load(&program->build);
    for (cl_uint i = 0; i < build->num_devices; i++) {
        cl_build_status *status =
            info_of(&build->devices[i].info, CL_PROGRAM_BUILD_STATUS, sizeof(cl_build_status));
        if (!status || *status != CL_BUILD_ERROR)
            return false;
    }
    return true;
}

static int name_program(const struct program *program, struct error *err)
{
    return error_object(err, "program %llu", (unsigned long long)program->object.serial);
}

int program_carriable(struct program *program, struct error *err)
{
    struct build *build = atomic_load(&program->build);
    for (cl_uint i = 0; i < build->num_devices; i++) {
        size_t *variables = info_of(&build->devices[i].info,
                                    CL_PROGRAM_BUILD_GLOBAL_VARIABLE_TOTAL_SIZE, sizeof(size_t));
        if (!variables || !*variables)
            continue;
        error_set(err, 0, "it has %zu bytes of program-scope variables, which can't be read back",
                  *variables);
        error_todo(err, "suspend after the program has released it");
        return name_program(program, err);
    }
    if (!program->object.refusal)
        return 0;
    error_set(err, 0, "%s", program->object.refusal);
    error_todo(err, "suspend after the program has released it");
    return name_program(program, err);
}

#define MIXED "its parts were compiled differently for its devices, and can't be linked again"

int program_movable(struct program *program, struct error *err)
{
    struct build *build = atomic_load(&program->build);
    for (cl_uint i = 0; i < build->num_devices; i++) {
        if (recipe_portable(build->devices[i].recipe))
            continue;
        if (recipe_mixed(build->devices[i].recipe)) {
            error_set(err, 0, MIXED);
            error_todo(err, "resume on the same kind of device");
        } else {
            error_set(err, 0, "it was loaded from a binary whose source is not known");
            error_todo(err, "resume on the same kind of device, or make the program build from "
                            "source (clear its cache)");
        }
        return name_program(program, err);
    }
    return 0;
}

/* A kernel of the driver's that is made only to be asked. */
struct sample {
    struct leftover leftover;
    const struct driver *driver;
    cl_kernel real;
};

static void sample_give_back(struct leftover *leftover)
{
    struct sample *sample = (struct sample *)leftover;
    cl_kernel real = sample->real;
    sample->real = NULL;
    if (real)
        CALL_RELEASE(sample->driver, clReleaseKernel, real);
    phase_gave(leftover);
    free(sample);
}

/* Facts of one kernel. */
static bool take_kernel(struct program *program, struct kernel_facts *facts)
{
    const struct driver *driver = program->object.driver;
    struct sample *sample = calloc(1, sizeof *sample);
    cl_int err;
    if (!sample)
        return false;
    *sample = (struct sample){.leftover.give_back = sample_give_back, .driver = driver};
    phase_keeps(&sample->leftover);
    CALL(sample->real = driver->clCreateKernel(program_real(program), facts->name, &err));
    if (sample->real)
        kernel_read_facts(driver, sample->real, &facts->info);
    sample_give_back(&sample->leftover);
    return true;
}

/* A compiled object or a library: some drivers name its kernels, but can't make them. */
static bool is_unlinked(struct build *build)
{
    for (cl_uint i = 0; i < build->num_devices; i++) {
        cl_program_binary_type type = binary_type(&build->devices[i]);
        if (type != CL_PROGRAM_BINARY_TYPE_COMPILED_OBJECT &&
            type != CL_PROGRAM_BINARY_TYPE_LIBRARY)
            return false;
    }
    return true;
}

/* The kernels of a list with semicolons, *num of them at the most; false without memory. */
static bool take_listed(struct program *program, const char *name, struct kernel_facts *kernels,
                        size_t *num)
{
    size_t most = *num;
    for (*num = 0; *name && *num < most;) {
        size_t length = strcspn(name, ";");
        struct kernel_facts *facts = &kernels[*num];
        if (!(facts->name = strndup(name, length)))
            return false;
        ++*num;
        if (!take_kernel(program, facts))
            return false;
        name += length + (name[length] == ';');
    }
    return true;
}

/* All at once: the thread may be left in the midst of it. */
static bool take_kernels(struct program *program, struct build *build)
{
    if (is_unlinked(build))
        return true;
    size_t *count = info_of(&build->info, CL_PROGRAM_NUM_KERNELS, sizeof(size_t));
    const struct info_entry *names = info_cache_find(&build->info, CL_PROGRAM_KERNEL_NAMES);
    if (build->kernels || !count || !*count || !names)
        return true;
    size_t num = *count;
    struct kernel_facts *kernels = calloc(num, sizeof *kernels);
    if (!kernels)
        return false;
    bool done = take_listed(program, (const char *)names->bytes, kernels, &num);
    build->kernels = kernels;
    build->num_kernels = num;
    return done;
}

static bool any_succeeded(struct build *build)
{
    for (cl_uint i = 0; i < build->num_devices; i++)
        if (build_succeeded(&build->devices[i]))
            return true;
    return false;
}

/* From the device that the program is on. */
static const struct blob *binary_of(const struct build *build, cl_uint i)
{
    return build->foreign ? &build->devices[i].here : &build->devices[i].binary;
}

/* Without its binary such a link would never come back. */
static int check_mixed(const struct program *program, const struct build *build, struct error *err)
{
    for (cl_uint i = 0; i < build->num_devices; i++) {
        const struct build_device *device = &build->devices[i];
        if (!build_succeeded(device) || binary_of(build, i)->size || !recipe_mixed(device->recipe))
            continue;
        error_set(err, 0, "its driver gives no binary; " MIXED);
        error_todo(err, "suspend after the program has released it");
        return name_program(program, err);
    }
    return 0;
}

int program_capture(struct program *program, struct error *err)
{
    struct build *build = atomic_load(&program->build);
    if (build->left) {
        build->foreign = true;
        build->left = false;
        build_forget_here(build);
    }
    if (!any_succeeded(build))
        return 0;
    cl_int status = build->foreign ? program_fetch_here(program) : program_fetch(program);
    if (status == CL_OUT_OF_HOST_MEMORY || !take_kernels(program, build)) {
        error_set(err, 0, "there is no memory for its binaries");
        return name_program(program, err);
    }
    /* Any other error: the program will be built from its source, or loaded as it was. */
    return check_mixed(program, build, err);
}

/* Of a thread that may be left in the driver: the turn ends when it comes out. */
struct turn {
    struct leftover leftover;
    struct program *program;
};

static void end_turn(struct leftover *leftover)
{
    struct turn *turn = (struct turn *)leftover;
    program_end_step(turn->program);
    phase_gave(leftover);
    free(turn);
}

void program_capture_early(struct program *program)
{
    struct turn *turn = malloc(sizeof *turn);
    if (!turn || !program_try_fetch(program)) {
        free(turn);
        return;
    }
    *turn = (struct turn){{.give_back = end_turn}, program};
    phase_keeps(&turn->leftover);
    struct build *build = atomic_load(&program->build);
    if (!build->foreign && !build->left && any_succeeded(build))
        program_fetch(program); /* where that fails, it does so again later */
    end_turn(&turn->leftover);
}

static bool all_same(const struct program *program)
{
    for (cl_uint i = 0; i < program->num_devices; i++)
        if (!program->devices[i]->same)
            return false;
    return true;
}

/* For the device where the i-th one is now: what the driver gave us if that is the same, else what
 * was made for it ahead of the move. NULL: neither. */
static const struct blob *choose_binary(const struct program *program, const struct build *build,
                                        cl_uint i)
{
    const struct device *device = program->devices[i];
    if (!device->same)
        return build_ahead(build, i, device_lives_on(device));
    bool known = build->foreign ? build->here : atomic_load(&build->fetched) == 2;
    return known ? binary_of(build, i) : NULL;
}

/* Do all devices that the program was built for? The others can do without: a later build for them
 * makes it genuine. But one that was itself loaded from binaries needs all of those. */
static bool all_have_binaries(const struct program *program, const struct build *build)
{
    bool any = false;
    for (cl_uint i = 0; i < build->num_devices; i++) {
        if (!build_succeeded(&build->devices[i]) && program->origin->kind != ORIGIN_BINARY)
            continue;
        const struct blob *binary = choose_binary(program, build, i);
        if (!binary || !binary->size || !build_succeeded(&build->devices[i]))
            return false;
        any = true;
    }
    return any;
}

static cl_int each_group(const struct targets *to, const struct build *build, cl_program real,
                         bool (*wanted)(const struct build_device *), step_call call)
{
    bool *those = calloc(to->count + 1, sizeof *those);
    for (cl_uint i = 0; i < build->num_devices && those; i++)
        those[i] = wanted(&build->devices[i]);
    cl_int err = those ? make_steps(to, build, those, call, real) : CL_OUT_OF_HOST_MEMORY;
    free(those);
    return err;
}

/* Compiled objects and libraries are left as they are: to link them is all that the application may
 * do, and a build turns them into empty executables. */
static bool is_executable(const struct build_device *device)
{
    return build_succeeded(device) && binary_type(device) == CL_PROGRAM_BINARY_TYPE_EXECUTABLE;
}

static cl_int build_loaded(const struct targets *to, const struct recipe *recipe, cl_program real)
{
    return to->driver->clBuildProgram(real, to->count, to->devices, recipe->options, NULL, NULL);
}

/* The driver's program from binaries, not built yet; NULL where it does not take them. */
static cl_program create_loaded(const struct program *program, const struct targets *to,
                                const struct build *build)
{
    cl_device_id *devices = calloc(to->count, sizeof(cl_device_id));
    size_t *sizes = calloc(to->count, sizeof *sizes);
    const unsigned char **bytes = calloc(to->count, sizeof *bytes);
    cl_uint count = 0;
    cl_int err = CL_OUT_OF_HOST_MEMORY;
    cl_program real = NULL;
    for (cl_uint i = 0; i < to->count && devices && sizes && bytes; i++) {
        if (!build_succeeded(&build->devices[i]))
            continue;
        const struct blob *binary = choose_binary(program, build, i);
        devices[count] = to->devices[i];
        sizes[count] = binary->size;
        bytes[count++] = binary->bytes;
    }
    if (count)
        real = to->driver->clCreateProgramWithBinary(to->context, count, devices, sizes, bytes,
                                                     NULL, &err);
    free(bytes);
    free(sizes);
    free(devices);
    return err == CL_SUCCESS ? real : NULL;
}

/* From the binaries that a driver gave us; false: to be tried in another way. */
static bool load_binaries(struct program *program, const struct targets *to,
                          const struct build *build)
{
    cl_program real = create_loaded(program, to, build);
    if (!real)
        return false;
    if (each_group(to, build, real, is_executable, build_loaded) != CL_SUCCESS) {
        RELEASE(to->driver, clReleaseProgram, real);
        return false;
    }
    program->object.real = real;
    program->stand_in = program->origin->kind != ORIGIN_BINARY;
    /* What was made for another device came from what the binary is known to come from. */
    program->from_known = !program->stand_in && !all_same(program);
    return true;
}

/* Says which call failed, with the beginning of the log. */
static int explain(struct program *program, const struct targets *to, cl_program real, cl_int code,
                   struct error *err)
{
    char *log = calloc(1, 1 << 16);
    if (real && log)
        to->driver->clGetProgramBuildInfo(real, to->devices[0], CL_PROGRAM_BUILD_LOG, (1 << 16) - 1,
                                          log, NULL);
    error_set(err, 0, "the driver answers %d when it is built again%s%.200s", code,
              log && *log ? ": " : "", log ? log : "");
    free(log);
    return name_program(program, err);
}

/* A binary can't be had on another kind of device: follow what it came from. */
static const struct recipe *source_of(const struct program *program, const struct recipe *recipe)
{
    if (recipe->origin->kind != ORIGIN_BINARY || (all_same(program) && !program->from_known))
        return recipe;
    const struct recipe *known = origin_known_all(recipe->origin);
    return known ? known : recipe;
}

/* What was set since the last step, for the next one. */
static cl_int repeat_constants(struct program *program, const struct targets *to, cl_program real)
{
    if (!atomic_load(&program->constants))
        return CL_SUCCESS;
    struct recipe *now = program_recipe(program, STEP_NONE, NULL);
    cl_int code = now ? make_constants(to, now, real) : CL_OUT_OF_HOST_MEMORY;
    recipe_unref(now);
    return code;
}

/* All of a recipe, for the devices for which the program was made: what did not work for the others
 * does not work now. */
static cl_int make_whole(const struct targets *to, const struct build *build,
                         const struct recipe *recipe, cl_program *real)
{
    cl_device_id *devices = calloc(to->count + 1, sizeof(cl_device_id));
    struct targets those = *to;
    those.count = 0;
    those.devices = devices;
    if (!devices)
        return CL_OUT_OF_HOST_MEMORY;
    for (cl_uint i = 0; i < to->count; i++)
        if (build_succeeded(&build->devices[i]))
            devices[those.count++] = to->devices[i];
    cl_int code = make_program(those.count ? &those : to, recipe, real);
    free(devices);
    return code;
}

static int follow_recipe(struct program *program, const struct targets *to, struct build *build,
                         struct error *err)
{
    const struct recipe *own = build->devices[0].recipe;
    const struct recipe *recipe = source_of(program, own);
    cl_program real = NULL;
    cl_int code;
    program->stand_in = false;
    program->from_known = recipe != own;
    if (recipe != own) {
        code = make_program(to, recipe, &real);
    } else if (own->origin->kind == ORIGIN_LINK) {
        code = make_whole(to, build, recipe, &real);
    } else {
        /* A step that failed for the application is not repeated. */
        code = make_origin(to, recipe->origin, &real);
        if (code == CL_SUCCESS)
            code = each_group(to, build, real, build_succeeded, make_step);
        if (code == CL_SUCCESS)
            code = repeat_constants(program, to, real);
    }
    /* A link that had failed before fails again, and the program is what it was. */
    if (code != CL_SUCCESS && (own->origin->kind != ORIGIN_LINK || any_succeeded(build))) {
        explain(program, to, real, code, err);
        if (real)
            RELEASE(to->driver, clReleaseProgram, real);
        return -1;
    }
    program->object.real = real;
    return 0;
}

/* The driver's handles of the program's devices; the caller frees to->devices. */
static bool aim(struct program *program, struct targets *to)
{
    const struct build *build = atomic_load(&program->build);
    cl_device_id *devices = calloc(program->num_devices + 1, sizeof(cl_device_id));
    for (cl_uint i = 0; i < program->num_devices && devices; i++)
        devices[i] = device_real(program->devices[i]);
    *to = (struct targets){.driver = program->object.driver,
                           .context = context_real(program->context),
                           .count = program->num_devices,
                           .devices = devices,
                           .elsewhere = !all_same(program) || build->foreign};
    return devices != NULL;
}

cl_int program_make_known(struct program *program)
{
    struct targets to;
    const struct recipe *known = origin_known_all(program->origin);
    if (!known)
        return CL_INVALID_BINARY;
    if (!aim(program, &to))
        return CL_OUT_OF_HOST_MEMORY;
    cl_program real = NULL;
    to.elsewhere = true;
    cl_int status = make_program(&to, known, &real);
    if (status != CL_SUCCESS && real)
        RELEASE(to.driver, clReleaseProgram, real);
    if (status == CL_SUCCESS)
        program->object.real = real;
    program->from_known = status == CL_SUCCESS;
    free((void *)to.devices);
    return status == CL_SUCCESS ? CL_SUCCESS : CL_INVALID_BINARY;
}

bool program_must_be_built(const struct program *program)
{
    struct build *build = atomic_load(&program->build);
    return any_succeeded(build) && !all_have_binaries(program, build);
}

int program_rebuild(struct program *program, struct error *err)
{
    struct build *build = atomic_load(&program->build);
    struct targets to;
    program->object.driver = program->context->object.driver;
    if (!aim(program, &to)) {
        error_set(err, 0, "there is no memory to make it again");
        return name_program(program, err);
    }
    bool loaded = all_have_binaries(program, build) && load_binaries(program, &to, build);
    build->left = !all_same(program);
    int result = loaded ? 0 : follow_recipe(program, &to, build, err);
    free((void *)to.devices);
    return result;
}
