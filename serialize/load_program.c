/* SPDX-License-Identifier: Apache-2.0 */
/* Programs, and the origins and recipes that they share. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "serialize/load_kinds.h"

/* A recipe is followed with all its inputs, and theirs: an image could make that endless. */
#define HEAVIEST 4096

_Static_assert((int)SHADOWCL__IMAGE__ORIGIN__KIND__LINK == (int)ORIGIN_LINK &&
                   (int)SHADOWCL__IMAGE__ORIGIN__KIND__BUILT_IN == (int)ORIGIN_BUILT_IN &&
                   (int)SHADOWCL__IMAGE__ORIGIN__KIND__BINARY == (int)ORIGIN_BINARY &&
                   (int)SHADOWCL__IMAGE__ORIGIN__KIND__IL == (int)ORIGIN_IL &&
                   (int)SHADOWCL__IMAGE__RECIPE__STEP__COMPILE == (int)STEP_COMPILE &&
                   (int)SHADOWCL__IMAGE__RECIPE__STEP__BUILD == (int)STEP_BUILD &&
                   (int)SHADOWCL__IMAGE__RECIPE__STEP__LINK == (int)STEP_LINK,
               "the numbers are the same");

static struct origin *load_binaries(const Shadowcl__Image__Origin *message)
{
    size_t count = message->n_binaries;
    size_t *sizes = calloc(count, sizeof *sizes);
    const unsigned char **binaries = calloc(count, sizeof *binaries);
    struct origin *origin = NULL;
    for (size_t i = 0; i < count && sizes && binaries; i++) {
        sizes[i] = message->binaries[i].len;
        binaries[i] = sizes[i] ? message->binaries[i].data : (const unsigned char *)"";
    }
    if (sizes && binaries)
        origin = origin_from_binaries((cl_uint)count, sizes, binaries);
    free(binaries);
    free(sizes);
    return origin;
}

int load_origin(struct load *load, const Shadowcl__Image__Origin *message, void **it,
                struct error *err)
{
    bool binary = message->kind == SHADOWCL__IMAGE__ORIGIN__KIND__BINARY;
    if ((unsigned)message->kind > ORIGIN_LINK)
        return refuse(err, "its kind %d is none that we know", (int)message->kind);
    if (binary ? !message->n_binaries || message->n_binaries > UINT16_MAX : message->n_binaries)
        return refuse(err, "it has %zu binaries", message->n_binaries);
    struct recipe *known = NULL;
    if (message->known &&
        !(known = load_object_of(load, message->known, LOAD_RECIPE, "known recipe", err)))
        return -1;
    if (known && !binary)
        return refuse(err, "it is known to come from a recipe, and is no binary");
    struct origin *origin = binary ? load_binaries(message)
                                   : origin_create((enum origin_kind)message->kind,
                                                   message->text.data, message->text.len);
    if (!origin)
        return load_no_memory(err);
    for (cl_uint i = 0; i < origin->num_binaries && known; i++)
        origin_set_known(origin, i, known);
    *it = origin;
    return 0;
}

static int load_headers(const struct load *load, const Shadowcl__Image__Recipe *message,
                        struct recipe *recipe, struct error *err)
{
    if (!recipe_set_headers(recipe, (cl_uint)message->n_headers))
        return load_no_memory(err);
    for (size_t i = 0; i < message->n_headers; i++) {
        const Shadowcl__Image__Header *from = message->headers[i];
        struct header *header = &recipe->headers[i];
        struct origin *origin = load_object_of(load, from->origin, LOAD_ORIGIN, "header", err);
        if (!origin)
            return -1;
        header->origin = origin_ref(origin);
        if (!(header->name = strdup(from->name)))
            return load_no_memory(err);
    }
    return 0;
}

static int load_inputs(const struct load *load, const Shadowcl__Image__Recipe *message,
                       struct recipe *recipe, uint32_t *weight, struct error *err)
{
    if (!recipe_set_inputs(recipe, (cl_uint)message->n_inputs))
        return load_no_memory(err);
    for (size_t i = 0; i < message->n_inputs; i++) {
        const struct load_entry *input =
            load_reference(load, message->inputs[i], LOAD_RECIPE, "input", err);
        if (!input)
            return -1;
        recipe->inputs[i] = recipe_ref(input->it);
        *weight += input->weight;
        if (*weight > HEAVIEST)
            return refuse(err, "it takes more than %d steps to follow it", HEAVIEST);
    }
    return 0;
}

static int load_constant(const Shadowcl__Image__Constant *from, struct constant *to,
                         struct error *err)
{
    *to = (struct constant){from->id, from->value.len, malloc(from->value.len + 1)};
    if (!to->value)
        return load_no_memory(err);
    if (to->size)
        memcpy(to->value, from->value.data, to->size);
    return 0;
}

static int load_constants(const Shadowcl__Image__Recipe *message, struct recipe *recipe,
                          struct error *err)
{
    recipe->constants = calloc(message->n_constants + 1, sizeof *recipe->constants);
    if (!recipe->constants)
        return load_no_memory(err);
    recipe->num_constants = (cl_uint)message->n_constants;
    for (size_t i = 0; i < message->n_constants; i++)
        if (load_constant(message->constants[i], &recipe->constants[i], err) != 0)
            return -1;
    return 0;
}

static int check_recipe(const Shadowcl__Image__Recipe *message, const struct origin *origin,
                        struct error *err)
{
    if ((unsigned)message->step > STEP_LINK)
        return refuse(err, "its step %d is none that we know", (int)message->step);
    if (message->step == SHADOWCL__IMAGE__RECIPE__STEP__LINK && origin->kind != ORIGIN_LINK)
        return refuse(err, "it is a link, and its origin is none");
    if (message->n_inputs && origin->kind != ORIGIN_LINK)
        return refuse(err, "it has inputs, and its origin is no link");
    if (message->n_headers > UINT32_MAX || message->n_inputs > UINT32_MAX ||
        message->n_constants > UINT32_MAX)
        return refuse(err, "it has too many parts");
    return 0;
}

int load_recipe(struct load *load, const Shadowcl__Image__Recipe *message, void **it,
                uint32_t *weight, struct error *err)
{
    struct origin *origin = load_object_of(load, message->origin, LOAD_ORIGIN, "origin", err);
    if (!origin || check_recipe(message, origin, err) != 0)
        return -1;
    struct recipe *recipe = recipe_create(origin, (enum step)message->step,
                                          message->has_options ? message->options : NULL);
    if (!recipe)
        return load_no_memory(err);
    recipe->mixed = message->mixed;
    *weight = 1;
    if (load_headers(load, message, recipe, err) != 0 ||
        load_inputs(load, message, recipe, weight, err) != 0 ||
        load_constants(message, recipe, err) != 0) {
        recipe_unref(recipe);
        return -1;
    }
    *it = recipe;
    return 0;
}

static int load_build(const struct load *load, const Shadowcl__Image__BuildDevice *message,
                      cl_uint num_devices, struct build_device *device, struct error *err)
{
    struct recipe *recipe = load_object_of(load, message->recipe, LOAD_RECIPE, "recipe", err);
    if (!recipe)
        return -1;
    if (recipe->origin->kind == ORIGIN_BINARY && recipe->origin->num_binaries != num_devices)
        return refuse(err, "its recipe has %u binaries, for %u devices",
                      recipe->origin->num_binaries, num_devices);
    recipe_unref(device->recipe);
    device->recipe = recipe_ref(recipe);
    if (message->binary.len) {
        device->binary.bytes = malloc(message->binary.len);
        if (!device->binary.bytes)
            return load_no_memory(err);
        memcpy(device->binary.bytes, message->binary.data, message->binary.len);
        device->binary.size = message->binary.len;
    }
    return load_info(&device->info, message->info, message->n_info, err);
}

static int load_facts(const Shadowcl__Image__Program *message, struct build *build,
                      struct error *err)
{
    if (!message->n_kernels)
        return 0;
    build->kernels = calloc(message->n_kernels, sizeof *build->kernels);
    if (!build->kernels)
        return load_no_memory(err);
    for (size_t i = 0; i < message->n_kernels; i++) {
        const Shadowcl__Image__KernelFacts *from = message->kernels[i];
        struct kernel_facts *facts = &build->kernels[build->num_kernels];
        if (!(facts->name = strdup(from->name)))
            return load_no_memory(err);
        build->num_kernels++;
        if (load_info(&facts->info, from->info, from->n_info, err) != 0)
            return -1;
    }
    return 0;
}

/* The newest comes first, and is the last of the message. */
static int load_program_constants(const Shadowcl__Image__Program *message, struct program *program,
                                  struct error *err)
{
    for (size_t i = 0; i < message->n_constants; i++) {
        struct program_constant *constant = calloc(1, sizeof *constant);
        if (!constant)
            return load_no_memory(err);
        constant->next = atomic_load(&program->constants);
        atomic_store(&program->constants, constant);
        if (load_constant(message->constants[i], &constant->constant, err) != 0)
            return -1;
    }
    return 0;
}

static int fill(const struct load *load, const Shadowcl__Image__Program *message,
                struct program *program, struct error *err)
{
    struct build *build = atomic_load(&program->build);
    for (cl_uint i = 0; i < program->num_devices; i++)
        if (load_build(load, message->builds[i], program->num_devices, &build->devices[i], err))
            return -1;
    atomic_store(&build->fetched, message->fetched ? 2 : 0);
    if (load_info(&build->info, message->info, message->n_info, err) != 0 ||
        load_facts(message, build, err) != 0)
        return -1;
    return load_program_constants(message, program, err);
}

int load_program(struct load *load, const Shadowcl__Image__Program *message, void **it,
                 struct error *err)
{
    struct context *context = load_object_of(load, message->context, KIND_CONTEXT, "context", err);
    struct origin *origin =
        context ? load_object_of(load, message->origin, LOAD_ORIGIN, "origin", err) : NULL;
    if (!origin)
        return -1;
    if (message->n_builds != message->n_devices)
        return refuse(err, "it has %zu builds for %zu devices", message->n_builds,
                      message->n_devices);
    struct device **devices =
        load_devices(load, message->devices, message->n_devices, context, err);
    if (!devices)
        return -1;
    struct program *program =
        program_create(context, origin_ref(origin), (cl_uint)message->n_devices, devices);
    free(devices);
    if (!program)
        return load_no_memory(err);
    if (fill(load, message, program, err) != 0) {
        program_discard(program);
        return -1;
    }
    *it = program;
    return 0;
}
