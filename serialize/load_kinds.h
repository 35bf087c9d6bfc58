/* SPDX-License-Identifier: Apache-2.0 */
/* What the loaders of the kinds (load_*.c) have in common. */
#ifndef SHADOWCL_SERIALIZE_LOAD_KINDS_H
#define SHADOWCL_SERIALIZE_LOAD_KINDS_H

#include "serialize/load.h"
#include "state/command_buffer.h"
#include "state/event.h"
#include "state/image.h"
#include "state/sampler.h"
#include "state/svm.h"

/* What is no object of OpenCL. */
enum load_kind { LOAD_ORIGIN = KIND_COUNT, LOAD_RECIPE, LOAD_SVM };

struct load_entry {
    uint64_t serial;
    int kind;        /* enum kind or load_kind */
    void *it;        /* a hold or reference on it; of an allocation owned */
    uint32_t weight; /* of a recipe: how many steps to follow it takes */
};

/* A partition, by the number that the image gives it. */
struct load_partition {
    uint64_t number;
    struct partition *it; /* lives as long as its parts, which are entries */
};

/* A mapping of ours, for SVM. */
struct load_range {
    uintptr_t begin, end;
};

struct load {
    struct driver nowhere; /* of all objects until they are placed: has no calls */
    struct load_entry *entries;
    size_t count, room;
    size_t *slots; /* by serial: 1 + index; 0: free */
    size_t num_slots;
    struct load_partition *partitions;
    size_t num_partitions;
    struct load_range *ranges; /* ordered */
    size_t num_ranges;
    char **texts; /* owned: why something can't be carried */
    size_t num_texts;
    uint64_t serial; /* of the object that is being loaded */
    int kind;
};

/* Why a message is no good. */
#define refuse(err, ...) error_set(err, 0, __VA_ARGS__)
static inline int load_no_memory(struct error *err)
{
    return refuse(err, "there is no memory for it");
}

const struct load_entry *load_find(const struct load *load, uint64_t serial);
/* The object of a kind that came before; NULL: err says what is wrong with `what`, "context". */
const struct load_entry *load_reference(const struct load *load, uint64_t serial, int kind,
                                        const char *what, struct error *err);
void *load_object_of(const struct load *load, uint64_t serial, int kind, const char *what,
                     struct error *err);
/* The devices of a list, which isn't empty and names none twice; of the context, where that is not
 * NULL. The caller frees the array. */
struct device **load_devices(const struct load *load, const uint64_t *serials, size_t count,
                             const struct context *context, struct error *err);
/* Pairs of words with a 0 behind, in *words (the caller's; NULL where there is no list). */
int load_properties(const Shadowcl__Image__Properties *properties, uint64_t **words,
                    struct error *err);
int load_info(struct info_cache *cache, Shadowcl__Image__Info *const *info, size_t count,
              struct error *err);
/* Gives back a complete object that is not published. */
void load_undo(void *object);
/* Sets arguments. Those before one that is wrong have been set. */
int load_args(const struct load *load, Shadowcl__Image__KernelArg *const *messages, size_t count,
              struct kernel_arg *args, struct error *err);

/* Each makes one object, unpublished (but for origins, recipes and allocations), in *it. */
#define LOADER(name, type)                                                                         \
    int load_##name(struct load *load, const Shadowcl__Image__##type *message, void **it,          \
                    struct error *err)
LOADER(platform, Platform);
LOADER(device, Device);
LOADER(context, Context);
LOADER(queue, Queue);
LOADER(mem, Mem);
LOADER(sampler, Sampler);
LOADER(origin, Origin);
LOADER(program, Program);
LOADER(kernel, Kernel);
LOADER(command_buffer, CommandBuffer);
LOADER(event, Event);
LOADER(svm, Svm);
/* Says how heavy it is, too. */
int load_recipe(struct load *load, const Shadowcl__Image__Recipe *message, void **it,
                uint32_t *weight, struct error *err);

#endif
