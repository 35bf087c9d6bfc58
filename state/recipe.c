/* SPDX-License-Identifier: Apache-2.0 */
/* Origins and recipes of programs, and the list of binaries whose recipe is known: see recipe.h. */
#include "state/recipe.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct origin *origin_create(enum origin_kind kind, const void *text, size_t size)
{
    struct origin *origin = calloc(1, sizeof *origin);
    if (!origin || !(origin->text = malloc(size + 1))) {
        free(origin);
        return NULL;
    }
    if (size && text)
        memcpy(origin->text, text, size);
    origin->text[size] = 0;
    origin->size = size;
    origin->kind = kind;
    origin->refs = 1;
    return origin;
}

static size_t string_length(const char **strings, const size_t *lengths, cl_uint i)
{
    return lengths && lengths[i] ? lengths[i] : strlen(strings[i]);
}

struct origin *origin_from_strings(cl_uint count, const char **strings, const size_t *lengths)
{
    size_t size = 0;
    for (cl_uint i = 0; i < count; i++)
        size += string_length(strings, lengths, i);
    struct origin *origin = origin_create(ORIGIN_SOURCE, NULL, size);
    if (!origin)
        return NULL;
    char *end = origin->text;
    for (cl_uint i = 0; i < count; i++) {
        size_t length = string_length(strings, lengths, i);
        memcpy(end, strings[i], length);
        end += length;
    }
    return origin;
}

struct origin *origin_from_binaries(cl_uint count, const size_t *sizes,
                                    const unsigned char **binaries)
{
    struct origin *origin = origin_create(ORIGIN_BINARY, NULL, 0);
    if (!origin || !(origin->binaries = calloc(count, sizeof *origin->binaries))) {
        origin_unref(origin);
        return NULL;
    }
    origin->num_binaries = count;
    for (cl_uint i = 0; i < count; i++) {
        unsigned char *bytes = malloc(sizes[i] ? sizes[i] : 1);
        if (!bytes) {
            origin_unref(origin);
            return NULL;
        }
        memcpy(bytes, binaries[i], sizes[i]);
        origin->binaries[i] = (struct blob){sizes[i], bytes};
    }
    return origin;
}

struct origin *origin_ref(struct origin *origin)
{
    atomic_fetch_add_explicit(&origin->refs, 1, memory_order_relaxed);
    return origin;
}

void origin_unref(struct origin *origin)
{
    if (!origin || atomic_fetch_sub(&origin->refs, 1) != 1)
        return;
    for (cl_uint i = 0; i < origin->num_binaries; i++)
        free(origin->binaries[i].bytes);
    free(origin->binaries);
    free(origin->text);
    free(origin);
}

struct recipe *recipe_create(struct origin *origin, enum step step, const char *options)
{
    struct recipe *recipe = calloc(1, sizeof *recipe);
    if (!recipe || (options && !(recipe->options = strdup(options)))) {
        free(recipe);
        return NULL;
    }
    recipe->refs = 1;
    recipe->step = step;
    recipe->origin = origin_ref(origin);
    return recipe;
}

bool recipe_set_headers(struct recipe *recipe, cl_uint count)
{
    if (count && !(recipe->headers = calloc(count, sizeof *recipe->headers)))
        return false;
    recipe->num_headers = count;
    return true;
}

bool recipe_set_inputs(struct recipe *recipe, cl_uint count)
{
    if (count && !(recipe->inputs = calloc(count, sizeof *recipe->inputs)))
        return false;
    recipe->num_inputs = count;
    return true;
}

struct recipe *recipe_ref(struct recipe *recipe)
{
    if (recipe)
        atomic_fetch_add_explicit(&recipe->refs, 1, memory_order_relaxed);
    return recipe;
}

void recipe_unref(struct recipe *recipe)
{
    if (!recipe || atomic_fetch_sub(&recipe->refs, 1) != 1)
        return;
    for (cl_uint i = 0; i < recipe->num_headers; i++) {
        free(recipe->headers[i].name);
        origin_unref(recipe->headers[i].origin);
    }
    for (cl_uint i = 0; i < recipe->num_inputs; i++)
        recipe_unref(recipe->inputs[i]);
    for (cl_uint i = 0; i < recipe->num_constants; i++)
        free(recipe->constants[i].value);
    free(recipe->headers);
    free(recipe->inputs);
    free(recipe->constants);
    free(recipe->options);
    origin_unref(recipe->origin);
    free(recipe);
}

bool recipe_portable(const struct recipe *recipe)
{
    for (cl_uint i = 0; i < recipe->num_inputs; i++)
        if (!recipe_portable(recipe->inputs[i]))
            return false;
    if (recipe->origin->kind != ORIGIN_BINARY)
        return !recipe->mixed;
    for (cl_uint i = 0; i < recipe->origin->num_binaries; i++)
        if (!recipe_of_binary(&recipe->origin->binaries[i]))
            return false;
    return true;
}

struct known {
    struct known *next;
    uint64_t hash;
    size_t size;
    struct recipe *recipe;
};

static struct known *_Atomic known; /* grows at the front only */

/* FNV-1a, eight bytes at a time: tells binaries apart, guards against nothing. */
static uint64_t hash_blob(const struct blob *blob)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ blob->size;
    size_t i = 0;
    for (; i + 8 <= blob->size; i += 8) {
        uint64_t word;
        memcpy(&word, blob->bytes + i, 8);
        hash = (hash ^ word) * UINT64_C(0x100000001b3);
        hash ^= hash >> 32;
    }
    for (; i < blob->size; i++)
        hash = (hash ^ blob->bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static struct recipe *find_known(uint64_t hash, size_t size)
{
    for (struct known *entry = atomic_load(&known); entry; entry = entry->next)
        if (entry->hash == hash && entry->size == size)
            return entry->recipe;
    return NULL;
}

void recipe_remember(const struct blob *binary, struct recipe *recipe)
{
    if (!binary->bytes || recipe->origin->kind == ORIGIN_BINARY)
        return;
    uint64_t hash = hash_blob(binary);
    struct known *entry;
    if (find_known(hash, binary->size) || !(entry = malloc(sizeof *entry)))
        return;
    *entry = (struct known){atomic_load(&known), hash, binary->size, recipe_ref(recipe)};
    while (!atomic_compare_exchange_weak(&known, &entry->next, entry))
        ;
}

struct recipe *recipe_of_binary(const struct blob *binary)
{
    if (!binary->bytes || !atomic_load(&known))
        return NULL;
    return find_known(hash_blob(binary), binary->size);
}

void recipe_forget(const struct recipe *recipe)
{
    struct known *kept = NULL, *entry = atomic_exchange(&known, NULL);
    while (entry) {
        struct known *next = entry->next;
        if (entry->recipe == recipe) {
            recipe_unref(entry->recipe);
            free(entry);
        } else {
            entry->next = kept;
            kept = entry;
        }
        entry = next;
    }
    atomic_store(&known, kept);
}
