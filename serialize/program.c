/* SPDX-License-Identifier: Apache-2.0 */
/* Programs as messages, and the origins and recipes that they share. See save.h. */
#include <search.h>
#include <stdlib.h>

#include "serialize/save.h"

/* An origin or recipe that is written. */
struct known {
    const void *what;
    uint64_t serial;
};

static int compare(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    return (uintptr_t)x->what < (uintptr_t)y->what ? -1 : (uintptr_t)x->what > (uintptr_t)y->what;
}

/* 0: it is not written yet. */
static uint64_t known_serial(const struct save *save, const void *what)
{
    struct known wanted = {.what = what};
    struct known *const *found = tfind(&wanted, &save->known, compare);
    return found ? (*found)->serial : 0;
}

static int know(struct save *save, const void *what, uint64_t serial, struct error *err)
{
    struct known *known = malloc(sizeof *known);
    if (known)
        *known = (struct known){what, serial};
    if (known && tsearch(known, &save->known, compare))
        return 0;
    free(known);
    return error_set(err, 0, "no memory to save the programs");
}

void save_finish(struct save *save)
{
    scratch_empty(&save->scratch);
    tdestroy(save->known, free);
    save->known = NULL;
}

static int write_object(struct save *save, Shadowcl__Image__Object *object, const void *what,
                        struct error *err)
{
    object->serial = save->next_serial++;
    bool failed = save->scratch.failed;
    int result = failed ? error_set(err, 0, "no memory to save the programs")
                        : image_writer_object(save->writer, object->serial, &object->base, err);
    scratch_empty(&save->scratch);
    return result == 0 ? know(save, what, object->serial, err) : -1;
}

static int save_recipe(struct save *save, const struct recipe *recipe, bool deep,
                       struct error *err);

/* `deep`: a binary's own recipe is written too. Not for what such a recipe is made from: binaries
 * may be equal to each other, and references never go in a circle. */
static int save_origin(struct save *save, const struct origin *origin, bool deep, struct error *err)
{
    Shadowcl__Image__Object object = SHADOWCL__IMAGE__OBJECT__INIT;
    Shadowcl__Image__Origin to = SHADOWCL__IMAGE__ORIGIN__INIT;
    struct recipe *known = NULL;
    if (known_serial(save, origin))
        return 0;
    if (deep && origin->kind == ORIGIN_BINARY && origin->num_binaries)
        known = origin_known_all(origin);
    if (known && (!recipe_portable(known) || save_recipe(save, known, false, err) != 0))
        known = NULL;
    to.kind = (Shadowcl__Image__Origin__Kind)origin->kind;
    to.text = save_bytes(origin->text, origin->size);
    to.binaries = scratch_array(&save->scratch, origin->num_binaries, sizeof *to.binaries);
    for (cl_uint i = 0; to.binaries && i < origin->num_binaries; i++)
        to.binaries[to.n_binaries++] =
            save_bytes(origin->binaries[i].bytes, origin->binaries[i].size);
    to.known = known ? known_serial(save, known) : 0;
    object.kind_case = SHADOWCL__IMAGE__OBJECT__KIND_ORIGIN;
    object.origin = &to;
    return write_object(save, &object, origin, err);
}

static Shadowcl__Image__Constant **save_constants(struct scratch *scratch,
                                                  const struct constant *constants, size_t count)
{
    Shadowcl__Image__Constant **list = scratch_array(scratch, count, sizeof *list);
    Shadowcl__Image__Constant *all = scratch_array(scratch, count, sizeof *all);
    for (size_t i = 0; list && all && i < count; i++) {
        shadowcl__image__constant__init(&all[i]);
        all[i].id = constants[i].id;
        all[i].value = save_bytes(constants[i].value, constants[i].size);
        list[i] = &all[i];
    }
    return all ? list : NULL;
}

static void save_headers(struct save *save, const struct recipe *recipe,
                         Shadowcl__Image__Recipe *to)
{
    to->headers = scratch_array(&save->scratch, recipe->num_headers, sizeof(void *));
    Shadowcl__Image__Header *all = scratch_array(&save->scratch, recipe->num_headers, sizeof *all);
    for (cl_uint i = 0; to->headers && all && i < recipe->num_headers; i++) {
        shadowcl__image__header__init(&all[i]);
        all[i].name = save_text(recipe->headers[i].name);
        all[i].origin = known_serial(save, recipe->headers[i].origin);
        to->headers[to->n_headers++] = &all[i];
    }
}

/* Inputs nest as deep as the program has linked libraries of libraries. */
static int save_parts(struct save *save, const struct recipe *recipe, bool deep, struct error *err)
{
    if (save_origin(save, recipe->origin, deep, err) != 0)
        return -1;
    for (cl_uint i = 0; i < recipe->num_headers; i++)
        if (save_origin(save, recipe->headers[i].origin, false, err) != 0)
            return -1;
    for (cl_uint i = 0; i < recipe->num_inputs; i++)
        if (save_recipe(save, recipe->inputs[i], deep, err) != 0)
            return -1;
    return 0;
}

static int save_recipe(struct save *save, const struct recipe *recipe, bool deep, struct error *err)
{
    Shadowcl__Image__Object object = SHADOWCL__IMAGE__OBJECT__INIT;
    Shadowcl__Image__Recipe to = SHADOWCL__IMAGE__RECIPE__INIT;
    if (known_serial(save, recipe))
        return 0;
    if (save_parts(save, recipe, deep, err) != 0)
        return -1;
    to.origin = known_serial(save, recipe->origin);
    to.step = (Shadowcl__Image__Recipe__Step)recipe->step;
    to.options = save_text(recipe->options);
    to.has_options = recipe->options != NULL;
    save_headers(save, recipe, &to);
    to.inputs = scratch_array(&save->scratch, recipe->num_inputs, sizeof *to.inputs);
    for (cl_uint i = 0; to.inputs && i < recipe->num_inputs; i++)
        to.inputs[to.n_inputs++] = known_serial(save, recipe->inputs[i]);
    to.constants = save_constants(&save->scratch, recipe->constants, recipe->num_constants);
    to.n_constants = to.constants ? recipe->num_constants : 0;
    to.mixed = recipe->mixed;
    object.kind_case = SHADOWCL__IMAGE__OBJECT__KIND_RECIPE;
    object.recipe = &to;
    return write_object(save, &object, recipe, err);
}

int save_recipes(struct save *save, const struct program *program, struct error *err)
{
    const struct build *build = atomic_load(&((struct program *)program)->build);
    if (save_origin(save, program->origin, true, err) != 0)
        return -1;
    for (cl_uint i = 0; i < build->num_devices; i++)
        if (save_recipe(save, build->devices[i].recipe, true, err) != 0)
            return -1;
    return 0;
}

static void save_builds(struct save *save, const struct build *build, Shadowcl__Image__Program *to)
{
    to->builds = scratch_array(&save->scratch, build->num_devices, sizeof(void *));
    Shadowcl__Image__BuildDevice *all =
        scratch_array(&save->scratch, build->num_devices, sizeof *all);
    for (cl_uint i = 0; to->builds && all && i < build->num_devices; i++) {
        const struct build_device *device = &build->devices[i];
        const struct blob *binary = build->foreign ? &device->here : &device->binary;
        shadowcl__image__build_device__init(&all[i]);
        all[i].recipe = known_serial(save, device->recipe);
        all[i].info = save_info(&save->scratch, &device->info, &all[i].n_info);
        if (to->fetched)
            all[i].binary = save_bytes(binary->bytes, binary->size);
        to->builds[to->n_builds++] = &all[i];
    }
}

static void save_facts(struct scratch *scratch, const struct build *build,
                       Shadowcl__Image__Program *to)
{
    to->kernels = scratch_array(scratch, build->num_kernels, sizeof(void *));
    Shadowcl__Image__KernelFacts *all = scratch_array(scratch, build->num_kernels, sizeof *all);
    for (size_t i = 0; to->kernels && all && i < build->num_kernels; i++) {
        shadowcl__image__kernel_facts__init(&all[i]);
        all[i].name = save_text(build->kernels[i].name);
        all[i].info = save_info(scratch, &build->kernels[i].info, &all[i].n_info);
        to->kernels[to->n_kernels++] = &all[i];
    }
}

/* Those set since the last build step: the newest first in the list, the oldest first here. */
static void save_set_constants(struct scratch *scratch, const struct program *program,
                               Shadowcl__Image__Program *to)
{
    size_t count = 0;
    struct program_constant *first = atomic_load(&((struct program *)program)->constants);
    for (struct program_constant *c = first; c; c = c->next)
        count++;
    struct constant *list = scratch_array(scratch, count, sizeof *list);
    size_t i = count;
    for (struct program_constant *c = first; list && c; c = c->next)
        list[--i] = c->constant;
    to->constants = list ? save_constants(scratch, list, count) : NULL;
    to->n_constants = to->constants ? count : 0;
}

void save_program(struct save *save, const struct program *program, Shadowcl__Image__Program *to)
{
    const struct build *build = atomic_load(&((struct program *)program)->build);
    to->context = save_serial(program->context);
    to->devices = scratch_array(&save->scratch, program->num_devices, sizeof *to->devices);
    for (cl_uint i = 0; to->devices && i < program->num_devices; i++)
        to->devices[to->n_devices++] = save_serial(program->devices[i]);
    to->origin = known_serial(save, program->origin);
    to->fetched = build->foreign ? build->here : atomic_load(&build->fetched) == 2;
    save_builds(save, build, to);
    to->info = save_info(&save->scratch, &build->info, &to->n_info);
    save_facts(&save->scratch, build, to);
    save_set_constants(&save->scratch, program, to);
}
