/* SPDX-License-Identifier: Apache-2.0 */
/* Building one program on another device: see trial_attempt.h. A program is held no longer than it
 * takes to give it a binary. */
#include "shim/trial_attempt.h"

#include <stdio.h>
#include <stdlib.h>

#include "shim/handlers.h"
#include "shim/library.h"
#include "shim/loader.h"
#include "shim/phase.h"
#include "shim/residue.h"
#include "state/program_ahead.h"
#include "state/program_make.h"

int trial_no_memory(struct error *err)
{
    return error_set(err, 0, "no memory for the trial of another device");
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
    cl_kernel kernel;              /* owned */
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
    bool same = library_come_back(visit->driver->library, visit->instance);
    if (same && visit->kernel)
        RELEASE(visit->driver, clReleaseKernel, visit->kernel);
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
    visit->instance = library_leave(visit->driver->library);
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

/* NULL where the driver does not tell. */
static char *fetch_names(const struct driver *driver, cl_program real)
{
    size_t size = 0;
    char *names = NULL;
    if (CALL(driver->clGetProgramInfo(real, CL_PROGRAM_KERNEL_NAMES, 0, NULL, &size)) !=
            CL_SUCCESS ||
        !(names = calloc(1, size + 1)))
        return NULL;
    if (CALL(driver->clGetProgramInfo(real, CL_PROGRAM_KERNEL_NAMES, size, names, NULL)) ==
        CL_SUCCESS)
        return names;
    free(names);
    return NULL;
}

/* (Built-in kernels take no time to build.) */
static void keep(const struct attempt *attempt, const struct site *site, cl_program real)
{
    const struct driver *driver = site->to->platform->object.driver;
    if (attempt->recipe->origin->kind == ORIGIN_BUILT_IN)
        return;
    char *names = fetch_names(driver, real);
    struct blob binary = fetch(driver, real);
    struct program *program = attempt->program;
    if (binary.bytes && object_hold_alive(&program->object, attempt->generation)) {
        program_keep_ahead(program, attempt->build, attempt->index, site->identity, binary, names);
        object_drop(program);
    } else {
        free(binary.bytes);
        free(names);
    }
}

/* Makes each kernel that the program has: one may be there for some devices only. */
static cl_int try_kernels(struct visit *visit, const struct attempt *attempt, struct error *err)
{
    cl_int code = CL_SUCCESS;
    for (size_t i = 0; i < attempt->num_kernels && code == CL_SUCCESS; i++) {
        const char *name = attempt->kernels[i];
        CALL(visit->kernel = visit->driver->clCreateKernel(visit->real, name, &code));
        cl_kernel kernel = visit->kernel;
        visit->kernel = NULL;
        if (kernel)
            CALL_RELEASE(visit->driver, clReleaseKernel, kernel);
        if (code == CL_SUCCESS)
            continue;
        error_object(err, "kernel `%s` of program %llu", name, (unsigned long long)attempt->serial);
        error_set(err, 0, "it can't be made for `%s` (%d)", visit->site->to->name, code);
        error_todo(err, "choose another device");
    }
    return code;
}

static enum outcome build_there(const struct trial *trial, struct attempt *attempt, unsigned thread,
                                struct error *err)
{
    struct site *site = &trial->sites[attempt->site];
    struct visit *visit = trial->visits[thread];
    struct targets to = {visit->driver, enter_site(visit, thread, err), 1, &site->to->own, true};
    if (!to.context)
        return OUTCOME_NONE;
    cl_int code = make_program(&to, attempt->recipe, &visit->real);
    if (code != CL_SUCCESS)
        explain(attempt, site->to, &to, visit->real, code, err);
    else
        code = try_kernels(visit, attempt, err);
    if (code != CL_SUCCESS)
        return OUTCOME_NONE;
    if (trial->keep)
        keep(attempt, site, visit->real);
    return OUTCOME_BUILT;
}

enum outcome attempt_build(struct trial *trial, struct attempt *attempt, unsigned thread)
{
    const struct device *to = trial->sites[attempt->site].to;
    struct error err = {0};
    KEEP_HANDLERS();
    /* (While it runs, the program may let go of what it has built.) */
    IN_DRIVER(to->platform->object.driver->library,
              trial->running ? &to->object : &attempt->program->object, true);
    if (!begin_visit(trial, &trial->sites[attempt->site], attempt, thread)) {
        trial_no_memory(&err);
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
