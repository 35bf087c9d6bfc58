/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a program's shadow. */
#include "state/program.h"

#include <stdlib.h>

#include "shim/callback.h"
#include "shim/cancel.h"

struct roster program_roster = {.offset = offsetof(struct program, member)};

static bool hold_devices(struct program *program, cl_uint count, struct device *const *devices)
{
    size_t size = count * sizeof *program->devices;
    bool fits = size <= OBJECT_SLOT - sizeof *program;
    program->devices = fits ? (struct device **)(program + 1) : malloc(size);
    if (!program->devices)
        return false;
    for (cl_uint i = 0; i < count; i++)
        program->devices[i] = object_hold(devices[i]);
    program->num_devices = count;
    return true;
}

static void destroy_builds(struct program *program)
{
    struct build *build = atomic_load(&program->build);
    while (build) {
        struct build *older = build->older;
        build_destroy(build);
        build = older;
    }
}

/* Frees what the program owns; its slot stays. */
static void finish(struct program *program)
{
    destroy_builds(program);
    struct program_constant *constant = atomic_load(&program->constants);
    while (constant) {
        struct program_constant *next = constant->next;
        free(constant->constant.value);
        free(constant);
        constant = next;
    }
    roster_remove(&program_roster, &program->member);
    origin_unref(program->origin);
    for (cl_uint i = 0; i < program->num_devices; i++)
        object_drop(program->devices[i]);
    if (program->devices != (struct device **)(program + 1))
        free(program->devices);
    object_drop(program->context);
}

struct program *program_create(struct context *context, struct origin *origin, cl_uint num_devices,
                               struct device *const *devices)
{
    if (!origin)
        return NULL;
    struct program *program = object_create(KIND_PROGRAM, sizeof *program, context->object.driver);
    if (!program) {
        origin_unref(origin);
        return NULL;
    }
    roster_add(&program_roster, &program->member);
    program->context = object_hold(context);
    program->origin = origin;
    /* (Older ones may have it by cl_khr_il_program.) */
    program->tells_il = origin->kind == ORIGIN_IL || context->object.driver->version >= 210;
    bool ok = num_devices ? hold_devices(program, num_devices, devices)
                          : hold_devices(program, context->num_devices, context->devices);
    struct recipe *recipe = ok ? recipe_create(origin, STEP_NONE, NULL) : NULL;
    struct build *build = recipe ? program_prepare(program, recipe, 0, NULL) : NULL;
    recipe_unref(recipe);
    if (!build) {
        program_discard(program);
        return NULL;
    }
    atomic_store(&program->build, build);
    return program;
}

void program_discard(struct program *program)
{
    finish(program);
    object_discard(program);
}

int program_device_index(const struct program *program, const struct device *device)
{
    for (cl_uint i = 0; i < program->num_devices; i++)
        if (program->devices[i] == device)
            return (int)i;
    return -1;
}

/* A clSetProgramReleaseCallback function on its way to the callback thread. */
struct release_post {
    struct post post;
    cl_program program;
    program_notify function;
    void *data;
};

static void run_release(struct post *post)
{
    struct release_post *release = (struct release_post *)post;
    release->function(release->program, release->data);
    free(release);
}

/* OpenCL 2.2 §5.8.1: in the reverse order of their registration. */
static void post_release_callbacks(struct program *program)
{
    struct program_callback *callback = atomic_load(&program->callbacks);
    while (callback) {
        struct program_callback *next = callback->next;
        struct release_post *post = malloc(sizeof *post);
        if (post) {
            *post = (struct release_post){
                .post.run = run_release,
                .program = (cl_program)program,
                .function = callback->function,
                .data = callback->data,
            };
            callback_post(&post->post);
        }
        free(callback);
        callback = next;
    }
}

void program_destroy(void *object)
{
    NOT_CANCELLED();
    struct program *program = object;
    program_release(program);
    post_release_callbacks(program);
    finish(program);
}

void program_release(struct program *program)
{
    cl_program real = program_real(program), retired = program->retired;
    program->object.real = program->retired = NULL;
    if (real)
        RELEASE(program->object.driver, clReleaseProgram, real);
    if (retired)
        RELEASE(program->object.driver, clReleaseProgram, retired);
}
