/* SPDX-License-Identifier: Apache-2.0 */
/* Trial builds: see trial.h. The application goes on meanwhile, so only what never changes is kept
 * of its programs: the recipes. */
#include "shim/trial.h"

#include <stdlib.h>
#include <string.h>

#include "shim/loader.h"
#include "shim/residue.h"
#include "state/program_make.h"

/* One program to be built on one device. */
struct attempt {
    struct recipe *recipe; /* a reference */
    struct device *to;
    uint64_t serial; /* of the program */
};

static bool was_built(const struct build_device *device)
{
    const struct info_entry *status =
        info_cache_find((struct info_cache *)&device->info, CL_PROGRAM_BUILD_STATUS);
    return status && status->size == sizeof(cl_build_status) &&
           *(const cl_build_status *)(const void *)status->bytes == CL_BUILD_SUCCESS;
}

/* What a binary came from is built where the binary can't be loaded. */
static struct recipe *portable(struct recipe *recipe)
{
    if (recipe->origin->kind != ORIGIN_BINARY)
        return recipe;
    return recipe->origin->num_binaries ? origin_known(recipe->origin, 0) : NULL;
}

static int note(struct trial *trial, struct program *program, int index, struct device *to,
                struct error *err)
{
    struct build *build = atomic_load(&program->build);
    struct recipe *recipe = portable(build->devices[index].recipe);
    if (!recipe || recipe->mixed || !was_built(&build->devices[index]))
        return 0;
    struct attempt *grown = realloc(trial->attempts, (trial->count + 1) * sizeof *trial->attempts);
    if (!grown)
        return error_set(err, 0, "no memory for the trial of another device");
    trial->attempts = grown;
    trial->attempts[trial->count++] =
        (struct attempt){recipe_ref(recipe), to, program->object.serial};
    return 0;
}

int trial_note(struct trial *trial, const struct device *from, struct device *to,
               struct object *const *objects, size_t count, struct error *err)
{
    char *identity = device_identify(to->platform->object.driver, to->own);
    bool same = identity && !strcmp(identity, device_captured_on(from));
    int result = 0;
    free(identity);
    for (size_t i = 0; i < count && result == 0 && !same; i++) {
        struct program *program = (struct program *)objects[i];
        int index = objects[i]->was == KIND_PROGRAM ? program_device_index(program, from) : -1;
        if (index >= 0)
            result = note(trial, program, index, to, err);
    }
    return result;
}

static int explain(const struct attempt *attempt, const struct targets *to, cl_program real,
                   cl_int code, struct error *err)
{
    const size_t size = 1 << 16;
    char *log = calloc(1, size);
    if (real && log)
        to->driver->clGetProgramBuildInfo(real, to->devices[0], CL_PROGRAM_BUILD_LOG, size - 1, log,
                                          NULL);
    error_object(err, "program %llu", (unsigned long long)attempt->serial);
    error_set(err, 0, "it can't be built for `%s` (%d)%s%.200s", attempt->to->name, code,
              log && *log ? ": " : "", log ? log : "");
    free(log);
    return error_todo(err, "choose another device");
}

static int run(const struct attempt *attempt, struct error *err)
{
    const struct driver *driver = attempt->to->platform->object.driver;
    cl_int code;
    cl_program real = NULL;
    int result = 0;
    bool watching = residue_enter(true);
    cl_context context = driver->clCreateContext(NULL, 1, &attempt->to->own, NULL, NULL, &code);
    if (residue_leave(watching))
        loader_note_device(driver);
    if (code != CL_SUCCESS) {
        error_object(err, "device `%s`", attempt->to->name);
        error_set(err, 0, "no context can be made on it (%d)", code);
        return error_todo(err, "choose another device");
    }
    struct targets to = {driver, context, 1, &attempt->to->own};
    code = make_program(&to, attempt->recipe, &real);
    if (code != CL_SUCCESS)
        result = explain(attempt, &to, real, code, err);
    if (real)
        RELEASE(driver, clReleaseProgram, real);
    RELEASE(driver, clReleaseContext, context);
    return result;
}

int trial_run(struct trial *trial, struct findings *findings, struct error *err)
{
    int result = 0;
    for (size_t i = 0; i < trial->count && result == 0; i++)
        if (run(&trial->attempts[i], err) != 0)
            result = findings_take(findings, err);
    return result;
}

void trial_finish(struct trial *trial)
{
    for (size_t i = 0; i < trial->count; i++)
        recipe_unref(trial->attempts[i].recipe);
    free(trial->attempts);
    *trial = (struct trial){0};
}
