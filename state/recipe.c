/* SPDX-License-Identifier: Apache-2.0 */
/* Origins and recipes of programs, and the list of binaries whose recipe is known: see recipe.h. */
#include "state/recipe.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shim/phase.h"

struct origin *origin_create(enum origin_kind kind, const void *text, size_t size)
{
    struct origin *origin = malloc(sizeof *origin + size + 1);
    if (!origin)
        return NULL;
    *origin = (struct origin){.refs = 1, .kind = kind, .size = size};
    if (size && text)
        memcpy(origin->text, text, size);
    origin->text[size] = 0;
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
    if (!origin)
        return NULL;
    origin->binaries = calloc(count, sizeof *origin->binaries);
    origin->known = calloc(count, sizeof *origin->known);
    if (!origin->binaries || !origin->known) {
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
        origin_known(origin, i); /* kept from now on */
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
    for (cl_uint i = 0; i < origin->num_binaries; i++)
        recipe_unref(atomic_load(&origin->known[i]));
    free(origin->known);
    free(origin->binaries);
    free(origin);
}

void recipe_number(struct recipe *recipe)
{
    static _Atomic uint64_t made;
    recipe->number = atomic_fetch_add_explicit(&made, 1, memory_order_relaxed);
}

struct recipe *recipe_create(struct origin *origin, enum step step, const char *options)
{
    struct recipe *recipe = calloc(1, sizeof *recipe);
    if (!recipe || (options && !(recipe->options = strdup(options)))) {
        free(recipe);
        return NULL;
    }
    recipe->refs = 1;
    recipe_number(recipe);
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

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_origin(const struct origin *a, const struct origin *b)
{
    return a == b || (a->kind == b->kind && a->kind != ORIGIN_BINARY && a->size == b->size &&
                      memcmp(a->text, b->text, a->size) == 0);
}

static bool same_headers(const struct recipe *a, const struct recipe *b)
{
    for (cl_uint i = 0; i < a->num_headers; i++)
        if (!same_text(a->headers[i].name, b->headers[i].name) ||
            !same_origin(a->headers[i].origin, b->headers[i].origin))
            return false;
    return true;
}

static bool same_constants(const struct recipe *a, const struct recipe *b)
{
    for (cl_uint i = 0; i < a->num_constants; i++) {
        const struct constant *x = &a->constants[i], *y = &b->constants[i];
        if (x->id != y->id || x->size != y->size || memcmp(x->value, y->value, x->size) != 0)
            return false;
    }
    return true;
}

/* Does the one give what the other gives? */
static bool same_recipe(const struct recipe *a, const struct recipe *b)
{
    if (a == b)
        return true;
    if (a->step != b->step || a->mixed || b->mixed || !same_text(a->options, b->options) ||
        !same_origin(a->origin, b->origin) || a->num_headers != b->num_headers ||
        a->num_inputs != b->num_inputs || a->num_constants != b->num_constants ||
        !same_headers(a, b) || !same_constants(a, b))
        return false;
    for (cl_uint i = 0; i < a->num_inputs; i++)
        if (!same_recipe(a->inputs[i], b->inputs[i]))
            return false;
    return true;
}

static bool is_portable(const struct recipe *recipe, unsigned depth)
{
    if (recipe->origin->kind == ORIGIN_BINARY) {
        const struct recipe *known = origin_known_all(recipe->origin);
        return known && depth < RECIPE_DEEPEST && is_portable(known, depth + 1);
    }
    for (cl_uint i = 0; i < recipe->num_inputs; i++)
        if (!is_portable(recipe->inputs[i], depth))
            return false;
    return !recipe->mixed;
}

bool recipe_portable(const struct recipe *recipe)
{
    return is_portable(recipe, 0);
}

bool recipe_mixed(const struct recipe *recipe)
{
    for (cl_uint i = 0; i < recipe->num_inputs; i++)
        if (recipe_mixed(recipe->inputs[i]))
            return true;
    return recipe->mixed;
}

/* The binaries whose recipe is known, the one that was last asked for first. A program that makes
 * others without end, and asks for each one's binary, must not grow without end: so the list has a
 * budget, and what was not asked for longest is forgotten. */
#define BUDGET ((size_t)64 << 20) /* bytes */

struct known {
    struct known *next;
    uint64_t hash;
    size_t size;
    size_t cost; /* bytes that the recipe keeps */
    struct recipe *recipe;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct known *known; /* guarded by lock, as the next two */
static size_t known_cost, budget = BUDGET;

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

/* What others share is counted again: rather too much than too little. */
static size_t cost_of(const struct recipe *recipe)
{
    size_t cost = sizeof(struct known) + sizeof *recipe + recipe->origin->size +
                  (recipe->options ? strlen(recipe->options) : 0);
    for (cl_uint i = 0; i < recipe->origin->num_binaries; i++)
        cost += recipe->origin->binaries[i].size;
    for (cl_uint i = 0; i < recipe->num_constants; i++)
        cost += sizeof *recipe->constants + recipe->constants[i].size;
    for (cl_uint i = 0; i < recipe->num_headers; i++)
        cost += recipe->headers[i].origin->size;
    for (cl_uint i = 0; i < recipe->num_inputs; i++)
        cost += cost_of(recipe->inputs[i]);
    return cost;
}

/* With the lock: to the front of the list. */
static struct known *find_known(uint64_t hash, size_t size)
{
    for (struct known **p = &known; *p; p = &(*p)->next) {
        struct known *entry = *p;
        if (entry->hash != hash || entry->size != size)
            continue;
        *p = entry->next;
        entry->next = known;
        known = entry;
        return entry;
    }
    return NULL;
}

/* With the lock: what is over the budget is taken off the list. The newest stays, whatever it
 * costs.
 */
static struct known *take_surplus(void)
{
    size_t cost = 0;
    struct known **p = &known;
    while (*p && (p == &known || cost + (*p)->cost <= budget)) {
        cost += (*p)->cost;
        p = &(*p)->next;
    }
    struct known *surplus = *p;
    *p = NULL;
    known_cost = cost;
    return surplus;
}

static void forget(struct known *entry)
{
    while (entry) {
        struct known *next = entry->next;
        recipe_unref(entry->recipe);
        free(entry);
        entry = next;
    }
}

void recipe_remember(const struct blob *binary, struct recipe *recipe)
{
    /* One that is made from a known binary came from what that came from. */
    if (recipe->origin->kind == ORIGIN_BINARY)
        recipe = origin_known_all(recipe->origin);
    if (!binary->bytes || !recipe)
        return;
    uint64_t hash = hash_blob(binary);
    struct known *entry = malloc(sizeof *entry), *surplus = NULL;
    if (!entry)
        return;
    pthread_mutex_lock(&lock);
    if (find_known(hash, binary->size)) {
        surplus = entry;
        *surplus = (struct known){0};
    } else {
        *entry = (struct known){known, hash, binary->size, cost_of(recipe), recipe_ref(recipe)};
        known = entry;
        known_cost += entry->cost;
        if (known_cost > budget)
            surplus = take_surplus();
    }
    pthread_mutex_unlock(&lock);
    forget(surplus);
}

static struct recipe *look_up(const struct blob *binary)
{
    if (!binary->bytes)
        return NULL;
    uint64_t hash = hash_blob(binary);
    NOT_FROZEN();
    pthread_mutex_lock(&lock);
    struct known *entry = find_known(hash, binary->size);
    struct recipe *recipe = entry ? recipe_ref(entry->recipe) : NULL;
    pthread_mutex_unlock(&lock);
    return recipe;
}

struct recipe *origin_known(const struct origin *origin, cl_uint i)
{
    struct recipe *recipe = atomic_load(&origin->known[i]), *none = NULL;
    if (recipe || !(recipe = look_up(&origin->binaries[i])))
        return recipe;
    if (atomic_compare_exchange_strong(&origin->known[i], &none, recipe))
        return recipe;
    recipe_unref(recipe);
    return none;
}

struct recipe *origin_known_all(const struct origin *origin)
{
    struct recipe *first = origin->num_binaries ? origin_known(origin, 0) : NULL;
    for (cl_uint i = 1; i < origin->num_binaries && first; i++) {
        const struct recipe *other = origin_known(origin, i);
        if (!other || !same_recipe(first, other))
            return NULL;
    }
    return first;
}

void origin_set_known(struct origin *origin, cl_uint i, struct recipe *recipe)
{
    recipe_unref(atomic_exchange(&origin->known[i], recipe_ref(recipe)));
}

size_t recipe_set_budget(size_t bytes)
{
    pthread_mutex_lock(&lock);
    size_t before = budget;
    budget = bytes;
    pthread_mutex_unlock(&lock);
    return before;
}

void recipe_forked(void)
{
    if (pthread_mutex_trylock(&lock) == 0) {
        pthread_mutex_unlock(&lock);
        return;
    }
    /* A thread that is not there was changing the list. */
    pthread_mutex_init(&lock, NULL);
    known = NULL;
    known_cost = 0;
}
