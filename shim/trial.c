/* SPDX-License-Identifier: Apache-2.0 */
/* Trial builds: see trial.h. The application goes on meanwhile, so only what never changes is kept
 * of its programs: the recipes. A program is held no longer than it takes to give it a binary. */
#include "shim/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/handlers.h"
#include "shim/loader.h"
#include "shim/phase.h"
#include "shim/residue.h"
#include "state/program_ahead.h"
#include "state/program_make.h"

/* A device where programs are built. */
struct site {
    struct device *to;
    char *identity; /* owned */
    /* Each thread has its own: oclgrind can't build two programs of one at once. */
    cl_context contexts[TRIAL_THREADS];
    atomic_bool closed; /* one could not be made */
};

enum outcome { OUTCOME_NONE, OUTCOME_THERE, OUTCOME_BUILT, OUTCOME_FAILED };

/* One program to be built on one device. */
struct attempt {
    struct recipe *recipe; /* a reference */
    size_t site;
    /* It may go meanwhile. The build is there as long as it. */
    struct program *program;
    uint32_t generation;
    const struct build *build;
    cl_uint index; /* of the device in it */
    uint64_t serial;
    _Atomic int outcome; /* enum outcome */
    struct error *error; /* owned; of one that failed; NULL: no memory for it */
};

/* What a binary came from is built where the binary can't be loaded. */
static struct recipe *portable(struct recipe *recipe)
{
    if (recipe->origin->kind != ORIGIN_BINARY)
        return recipe;
    return origin_known_all(recipe->origin);
}

static int no_memory(struct error *err)
{
    return error_set(err, 0, "no memory for the trial of another device");
}

static int note(struct trial *trial, struct program *program, cl_uint index, struct error *err)
{
    struct build *build = atomic_load(&program->build);
    struct recipe *recipe = portable(build->devices[index].recipe);
    size_t site = trial->num_sites - 1;
    if (!recipe || recipe->mixed || !build_succeeded(&build->devices[index]))
        return 0;
    struct attempt *grown = realloc(trial->attempts, (trial->count + 1) * sizeof *trial->attempts);
    if (!grown)
        return no_memory(err);
    trial->attempts = grown;
    bool there = build_ahead(build, index, trial->sites[site].identity);
    trial->attempts[trial->count++] =
        (struct attempt){.recipe = recipe_ref(recipe),
                         .site = site,
                         .program = program,
                         .generation = program->object.generation,
                         .build = build,
                         .index = index,
                         .serial = program->object.serial,
                         .outcome = there ? OUTCOME_THERE : OUTCOME_NONE};
    return 0;
}

static int add_site(struct trial *trial, struct device *to, char *identity, struct error *err)
{
    struct site *grown = realloc(trial->sites, (trial->num_sites + 1) * sizeof *trial->sites);
    if (!grown || !identity) {
        trial->sites = grown ? grown : trial->sites;
        free(identity);
        return no_memory(err);
    }
    trial->sites = grown;
    trial->sites[trial->num_sites++] = (struct site){.to = to, .identity = identity};
    return 0;
}

int trial_note(struct trial *trial, const struct device *from, struct device *to,
               struct object *const *objects, size_t count, struct error *err)
{
    char *identity = device_identify(to->platform->object.driver, to->own);
    const char *now = trial->running ? device_lives_on(from) : device_captured_on(from);
    if (identity && !strcmp(identity, now)) {
        free(identity);
        return 0;
    }
    int result = add_site(trial, to, identity, err);
    for (size_t i = 0; i < count && result == 0; i++) {
        struct program *program = (struct program *)objects[i];
        int index = objects[i]->was == KIND_PROGRAM ? program_device_index(program, from) : -1;
        if (index >= 0)
            result = note(trial, program, (cl_uint)index, err);
    }
    return result;
}

static int explain(const struct attempt *attempt, const struct device *device,
                   const struct targets *to, cl_program real, cl_int code, struct error *err)
{
    const size_t size = 1 << 16;
    char *log = calloc(1, size);
    if (real && log)
        CALL(to->driver->clGetProgramBuildInfo(real, to->devices[0], CL_PROGRAM_BUILD_LOG, size - 1,
                                               log, NULL));
    error_object(err, "program %llu", (unsigned long long)attempt->serial);
    error_set(err, 0, "it can't be built for `%s` (%d)%s%.200s", device->name, code,
              log && *log ? ": " : "", log ? log : "");
    free(log);
    return error_todo(err, "choose another device");
}

/* A thread's stay on a site. */
struct visit {
    struct leftover leftover;
    const struct driver *driver;
    struct site *site;
    const struct attempt *attempt; /* NULL: the site is just being closed */
    cl_context context;            /* the site's, or one that is just being made */
    cl_program real;               /* owned */
    bool watching;                 /* the driver may be opening its device */
    unsigned instance;             /* of the driver's library, once the thread was left */
};

static struct visit *begin_visit(struct trial *trial, struct site *site,
                                 const struct attempt *attempt, unsigned thread)
{
    struct visit *visit = calloc(1, sizeof *visit);
    if (visit)
        *visit = (struct visit){.driver = site->to->platform->object.driver,
                                .site = site,
                                .attempt = attempt,
                                .context = attempt ? site->contexts[thread] : NULL};
    trial->visits[thread] = visit;
    return visit;
}

static void end_visit(struct trial *trial, unsigned thread)
{
    struct visit *visit = trial->visits[thread];
    cl_program real = visit->real;
    visit->real = NULL;
    if (real)
        CALL_RELEASE(visit->driver, clReleaseProgram, real);
    trial->visits[thread] = NULL;
    free(visit);
}

/* The call has come back; the driver may have been loaded anew meanwhile. */
static void give_back(struct leftover *leftover)
{
    struct visit *visit = (struct visit *)leftover;
    bool same = loader_come_back(visit->driver->library, visit->instance);
    if (same && visit->real)
        RELEASE(visit->driver, clReleaseProgram, visit->real);
    if (same && visit->context)
        RELEASE(visit->driver, clReleaseContext, visit->context);
    free(visit);
}

void trial_leave(struct trial *trial, unsigned thread, struct leftover **leftovers)
{
    struct visit *visit = trial->visits[thread];
    atomic_store(&trial->left, true);
    if (!visit)
        return;
    visit->instance = loader_leave(visit->driver->library);
    if (residue_leave(visit->watching))
        loader_note_device(visit->driver);
    if (visit->context)
        visit->site->contexts[thread] = NULL;
    visit->leftover = (struct leftover){*leftovers, give_back};
    *leftovers = &visit->leftover;
}

void trial_explain_left(const struct trial *trial, unsigned thread, struct error *err)
{
    const struct visit *visit = trial->visits[thread];
    char reason[sizeof err->reason];
    if (!visit || !visit->attempt)
        return;
    snprintf(reason, sizeof reason, "%s", err->reason);
    error_object(err, "program %llu", (unsigned long long)visit->attempt->serial);
    error_set(err, 0, "it can't be built for `%s`: %.250s", visit->site->to->name, reason);
    error_todo(err,
               "the program runs on, and can be suspended; choose another device, or try again "
               "later");
}

/* The thread's context there. NULL where there can't be one, which is said of the first only. */
static cl_context enter_site(struct visit *visit, unsigned thread, struct error *err)
{
    const struct driver *driver = visit->driver;
    struct site *site = visit->site;
    cl_int code;
    if (site->contexts[thread] || atomic_load(&site->closed))
        return site->contexts[thread];
    visit->watching = residue_enter(true);
    CALL(visit->context = driver->clCreateContext(NULL, 1, &site->to->own, NULL, NULL, &code));
    if (residue_leave(visit->watching))
        loader_note_device(driver);
    visit->watching = false;
    site->contexts[thread] = visit->context;
    if (!visit->context && !atomic_exchange(&site->closed, true)) {
        error_object(err, "device `%s`", site->to->name);
        error_set(err, 0, "no context can be made on it (%d)", code);
        error_todo(err, "choose another device");
    }
    return visit->context;
}

/* Without memory for a visit it is waited for. */
static void close_context(struct trial *trial, struct site *site, cl_context context)
{
    struct visit *visit = begin_visit(trial, site, NULL, 0);
    if (!visit) {
        RELEASE(site->to->platform->object.driver, clReleaseContext, context);
        return;
    }
    CALL_RELEASE(visit->driver, clReleaseContext, context);
    end_visit(trial, 0);
}

void trial_close(struct trial *trial)
{
    for (size_t i = 0; i < trial->num_sites * TRIAL_THREADS; i++) {
        struct site *site = &trial->sites[i / TRIAL_THREADS];
        cl_context context = site->contexts[i % TRIAL_THREADS];
        IN_DRIVER(site->to->platform->object.driver->library, &site->to->object, false);
        site->contexts[i % TRIAL_THREADS] = NULL;
        if (!context)
            continue;
        close_context(trial, site, context);
    }
}

/* The binary of a program that is for one device; without bytes where there is none. */
static struct blob fetch(const struct driver *driver, cl_program real)
{
    struct blob binary = {0};
    if (CALL(driver->clGetProgramInfo(real, CL_PROGRAM_BINARY_SIZES, sizeof binary.size,
                                      &binary.size, NULL)) != CL_SUCCESS ||
        !binary.size || !(binary.bytes = malloc(binary.size)))
        return (struct blob){0};
    if (CALL(driver->clGetProgramInfo(real, CL_PROGRAM_BINARIES, sizeof binary.bytes, &binary.bytes,
                                      NULL)) == CL_SUCCESS)
        return binary;
    free(binary.bytes);
    return (struct blob){0};
}

/* (Built-in kernels take no time to build.) */
static void keep(const struct attempt *attempt, const struct site *site, cl_program real)
{
    if (attempt->recipe->origin->kind == ORIGIN_BUILT_IN)
        return;
    struct blob binary = fetch(site->to->platform->object.driver, real);
    struct program *program = attempt->program;
    if (binary.bytes && object_hold_alive(&program->object, attempt->generation)) {
        program_keep_ahead(program, attempt->build, attempt->index, site->identity, binary);
        object_drop(program);
    } else {
        free(binary.bytes);
    }
}

static enum outcome build_there(const struct trial *trial, struct attempt *attempt, unsigned thread,
                                struct error *err)
{
    struct site *site = &trial->sites[attempt->site];
    struct visit *visit = trial->visits[thread];
    struct targets to = {visit->driver, enter_site(visit, thread, err), 1, &site->to->own, true};
    cl_int code = to.context ? make_program(&to, attempt->recipe, &visit->real) : CL_SUCCESS;
    if (visit->real && code == CL_SUCCESS && trial->keep)
        keep(attempt, site, visit->real);
    if (code != CL_SUCCESS)
        explain(attempt, site->to, &to, visit->real, code, err);
    return to.context && code == CL_SUCCESS ? OUTCOME_BUILT : OUTCOME_NONE;
}

static enum outcome build(struct trial *trial, struct attempt *attempt, unsigned thread)
{
    const struct device *to = trial->sites[attempt->site].to;
    struct error err = {0};
    KEEP_HANDLERS();
    /* (While it runs, the program may let go of what it has built.) */
    IN_DRIVER(to->platform->object.driver->library,
              trial->running ? &to->object : &attempt->program->object, true);
    if (!begin_visit(trial, &trial->sites[attempt->site], attempt, thread)) {
        no_memory(&err);
    } else {
        enum outcome outcome = build_there(trial, attempt, thread, &err);
        end_visit(trial, thread);
        if (outcome == OUTCOME_BUILT)
            return outcome;
    }
    if (!err.reason[0])
        return OUTCOME_NONE;
    if ((attempt->error = malloc(sizeof err)))
        *attempt->error = err;
    return OUTCOME_FAILED;
}

bool trial_step(struct trial *trial, unsigned thread)
{
    size_t i;
    do {
        i = atomic_fetch_add(&trial->next, 1);
        if (i >= trial->count || (atomic_load(&trial->failed) && !trial->all))
            return false;
    } while (trial->attempts[i].outcome != OUTCOME_NONE);
    enum outcome outcome = build(trial, &trial->attempts[i], thread);
    trial->attempts[i].outcome = outcome;
    if (outcome == OUTCOME_FAILED)
        atomic_store(&trial->failed, true);
    return true;
}

/* Has one of that program, on another device, been counted? */
static bool counted(const struct trial *trial, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (trial->attempts[j].serial == trial->attempts[i].serial &&
            trial->attempts[j].outcome == trial->attempts[i].outcome)
            return true;
    return false;
}

int trial_tell(const struct trial *trial, struct findings *findings, struct trial_result *result,
               struct error *err)
{
    *result = (struct trial_result){0};
    int told = 0;
    for (size_t i = 0; i < trial->count; i++) {
        const struct attempt *attempt = &trial->attempts[i];
        if (attempt->outcome == OUTCOME_FAILED && told == 0) {
            struct error none = {0};
            error_set(&none, 0, "there is no memory to say why it can't be built");
            *err = attempt->error ? *attempt->error : none;
            told = findings_take(findings, err);
        }
        result->built += attempt->outcome == OUTCOME_BUILT && !counted(trial, i);
        result->there += attempt->outcome == OUTCOME_THERE && !counted(trial, i);
    }
    return told;
}

int trial_run(struct trial *trial, struct findings *findings, struct error *err)
{
    struct trial_result ignored;
    while (trial_step(trial, 0))
        continue;
    trial_close(trial);
    return trial_tell(trial, findings, &ignored, err);
}

void trial_finish(struct trial *trial)
{
    if (atomic_load(&trial->left)) {
        *trial = (struct trial){0};
        return;
    }
    for (size_t i = 0; i < trial->count; i++) {
        recipe_unref(trial->attempts[i].recipe);
        free(trial->attempts[i].error);
    }
    for (size_t i = 0; i < trial->num_sites; i++)
        free(trial->sites[i].identity);
    free(trial->attempts);
    free(trial->sites);
    *trial = (struct trial){0};
}
