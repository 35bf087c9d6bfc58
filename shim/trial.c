/* SPDX-License-Identifier: Apache-2.0 */
/* Trial builds: see trial.h. The application goes on meanwhile, so only what never changes is kept
 * of its programs: the recipes, and the names of its kernels. */
#include "shim/trial.h"

#include <stdlib.h>
#include <string.h>

#include "shim/trial_attempt.h"
#include "state/kernel.h"
#include "state/program_ahead.h"

/* What a binary came from is built where the binary can't be loaded. */
static struct recipe *portable(struct recipe *recipe)
{
    if (recipe->origin->kind != ORIGIN_BINARY)
        return recipe;
    return origin_known_all(recipe->origin);
}

static bool is_kernel_of(const struct object *object, const struct program *program)
{
    return object->was == KIND_KERNEL && ((const struct kernel *)object)->program == program;
}

static bool has_kernel(const struct attempt *attempt, const char *name)
{
    for (size_t i = 0; i < attempt->num_kernels; i++)
        if (attempt->kernels[i] && strcmp(attempt->kernels[i], name) == 0)
            return true;
    return false;
}

/* Of a program for several devices each may lack some that another has: that is left to the
 * driver. */
static bool add_kernels(struct attempt *attempt, struct object *const *objects, size_t count)
{
    struct program *program = attempt->program;
    size_t most = 0;
    if (program->num_devices > 1 || !atomic_load(&program->kernels))
        return true;
    for (size_t i = 0; i < count; i++)
        most += is_kernel_of(objects[i], program);
    attempt->kernels = calloc(most + 1, sizeof *attempt->kernels);
    if (!attempt->kernels)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!is_kernel_of(objects[i], program))
            continue;
        const char *name = kernel_name((const struct kernel *)objects[i]);
        if (has_kernel(attempt, name))
            continue;
        char *own = strdup(name);
        if (!own)
            return false;
        attempt->kernels[attempt->num_kernels++] = own;
    }
    return true;
}

/* Has it been built for that device, with all of these kernels? */
static bool is_there(const struct attempt *attempt, const char *identity)
{
    if (!build_ahead(attempt->build, attempt->index, identity))
        return false;
    for (size_t i = 0; i < attempt->num_kernels; i++)
        if (!build_ahead_has(attempt->build, attempt->index, attempt->kernels[i]))
            return false;
    return true;
}

static int note(struct trial *trial, struct program *program, cl_uint index,
                struct object *const *objects, size_t count, struct error *err)
{
    struct build *build = atomic_load(&program->build);
    struct recipe *recipe = portable(build->devices[index].recipe);
    size_t site = trial->num_sites - 1;
    if (!recipe || recipe->mixed || !build_succeeded(&build->devices[index]))
        return 0;
    struct attempt *grown = realloc(trial->attempts, (trial->count + 1) * sizeof *trial->attempts);
    if (!grown)
        return trial_no_memory(err);
    trial->attempts = grown;
    struct attempt *attempt = &grown[trial->count++];
    *attempt = (struct attempt){.recipe = recipe_ref(recipe),
                                .site = site,
                                .program = program,
                                .generation = program->object.generation,
                                .build = build,
                                .index = index,
                                .serial = program->object.serial};
    if (!add_kernels(attempt, objects, count))
        return trial_no_memory(err);
    if (is_there(attempt, trial->sites[site].identity))
        attempt->outcome = OUTCOME_THERE;
    return 0;
}

static int add_site(struct trial *trial, struct device *to, char *identity, struct error *err)
{
    struct site *grown = realloc(trial->sites, (trial->num_sites + 1) * sizeof *trial->sites);
    if (!grown || !identity) {
        trial->sites = grown ? grown : trial->sites;
        free(identity);
        return trial_no_memory(err);
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
            result = note(trial, program, (cl_uint)index, objects, count, err);
    }
    return result;
}

bool trial_step(struct trial *trial, unsigned thread)
{
    size_t i;
    do {
        i = atomic_fetch_add(&trial->next, 1);
        if (i >= trial->count || (atomic_load(&trial->failed) && !trial->all))
            return false;
    } while (trial->attempts[i].outcome != OUTCOME_NONE);
    enum outcome outcome = attempt_build(trial, &trial->attempts[i], thread);
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

static void forget_attempt(struct attempt *attempt)
{
    recipe_unref(attempt->recipe);
    for (size_t i = 0; i < attempt->num_kernels; i++)
        free(attempt->kernels[i]);
    free(attempt->kernels);
    free(attempt->error);
}

void trial_finish(struct trial *trial)
{
    if (atomic_load(&trial->left)) {
        *trial = (struct trial){0};
        return;
    }
    for (size_t i = 0; i < trial->count; i++) {
        forget_attempt(&trial->attempts[i]);
    }
    for (size_t i = 0; i < trial->num_sites; i++)
        free(trial->sites[i].identity);
    free(trial->attempts);
    free(trial->sites);
    *trial = (struct trial){0};
}
