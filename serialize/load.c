/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what was loaded, and one record after the other: see load.h. */
#include "serialize/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "serialize/load_kinds.h"

struct load *load_create(void)
{
    return calloc(1, sizeof(struct load));
}

static void drop(const struct load_entry *entry)
{
    struct svm *svm = entry->it;
    switch (entry->kind) {
    case LOAD_ORIGIN:
        origin_unref(entry->it);
        break;
    case LOAD_RECIPE:
        recipe_unref(entry->it);
        break;
    case LOAD_SVM:
        svm_disown(svm->context, svm->pointer);
        free(svm);
        break;
    default:
        object_drop(entry->it);
    }
}

void load_destroy(struct load *load)
{
    if (!load)
        return;
    while (load->count)
        drop(&load->entries[--load->count]);
    for (size_t i = 0; i < load->num_ranges; i++)
        munmap((void *)load->ranges[i].begin, load->ranges[i].end - load->ranges[i].begin);
    for (size_t i = 0; i < load->num_texts; i++)
        free(load->texts[i]);
    free(load->texts);
    free(load->ranges);
    free(load->partitions);
    free(load->slots);
    free(load->entries);
    free(load);
}

static size_t slot_of(const struct load *load, uint64_t serial)
{
    size_t at = (size_t)(serial * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (load->num_slots - 1);
    while (load->slots[at] && load->entries[load->slots[at] - 1].serial != serial)
        at = (at + 1) & (load->num_slots - 1);
    return at;
}

const struct load_entry *load_find(const struct load *load, uint64_t serial)
{
    size_t found = load->num_slots ? load->slots[slot_of(load, serial)] : 0;
    return found ? &load->entries[found - 1] : NULL;
}

/* Room for one more entry: what was made can't fail to be kept. */
static bool reserve(struct load *load)
{
    size_t before = load->entries ? load->room : 0;
    if (load->count < before)
        return true;
    size_t room = before ? before * 2 : 64;
    struct load_entry *entries = realloc(load->entries, room * sizeof *entries);
    if (!entries)
        return false;
    load->entries = entries;
    size_t *slots = calloc(room * 2, sizeof *slots);
    if (!slots)
        return false;
    free(load->slots);
    load->slots = slots;
    load->num_slots = room * 2;
    load->room = room;
    for (size_t i = 0; i < load->count && i < before; i++)
        slots[slot_of(load, entries[i].serial)] = i + 1;
    return true;
}

static void keep(struct load *load, void *it, uint32_t weight)
{
    size_t slot = slot_of(load, load->serial);
    load->entries[load->count++] = (struct load_entry){load->serial, load->kind, it, weight};
    load->slots[slot] = load->count;
}

static const char *name_of(int kind)
{
    return kind == LOAD_ORIGIN   ? "origin"
           : kind == LOAD_RECIPE ? "recipe"
           : kind == LOAD_SVM    ? "SVM allocation"
                                 : kind_name((enum kind)kind);
}

const struct load_entry *load_reference(const struct load *load, uint64_t serial, int kind,
                                        const char *what, struct error *err)
{
    const struct load_entry *entry = serial ? load_find(load, serial) : NULL;
    if (!serial)
        refuse(err, "it names no %s", what);
    else if (!entry)
        refuse(err, "its %s %" PRIu64 " did not come before it", what, serial);
    else if (entry->kind != kind)
        refuse(err, "its %s %" PRIu64 " is a %s", what, serial, name_of(entry->kind));
    /* Within a kind objects are made in the order of their serials. */
    else if (kind == load->kind && serial > load->serial)
        refuse(err, "its %s %" PRIu64 " is younger than itself", what, serial);
    else
        return entry;
    return NULL;
}

void *load_object_of(const struct load *load, uint64_t serial, int kind, const char *what,
                     struct error *err)
{
    const struct load_entry *entry = load_reference(load, serial, kind, what, err);
    return entry ? entry->it : NULL;
}

int load_properties(const Shadowcl__Image__Properties *properties, uint64_t **words,
                    struct error *err)
{
    *words = NULL;
    if (!properties)
        return 0;
    size_t count = properties->n_words;
    if (count % 2)
        return refuse(err, "its properties are %zu words, which are no pairs", count);
    for (size_t i = 0; i < count; i += 2)
        if (!properties->words[i])
            return refuse(err, "its properties end before their end");
    *words = calloc(count + 1, sizeof **words);
    if (!*words)
        return load_no_memory(err);
    if (count)
        memcpy(*words, properties->words, count * sizeof **words);
    return 0;
}

int load_info(struct info_cache *cache, Shadowcl__Image__Info *const *info, size_t count,
              struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!info_cache_add(cache, info[i]->param, info[i]->bytes.data, info[i]->bytes.len))
            return load_no_memory(err);
    return 0;
}

void load_undo(void *object)
{
    object_publish(object);
    object_drop(object);
}

/* What kind a message is of, as in struct load_entry; KIND_FREE: none that we know. */
static int kind_of(const Shadowcl__Image__Object *message)
{
    static const int kinds[] = {
        [SHADOWCL__IMAGE__OBJECT__KIND_PLATFORM] = KIND_PLATFORM,
        [SHADOWCL__IMAGE__OBJECT__KIND_DEVICE] = KIND_DEVICE,
        [SHADOWCL__IMAGE__OBJECT__KIND_CONTEXT] = KIND_CONTEXT,
        [SHADOWCL__IMAGE__OBJECT__KIND_QUEUE] = KIND_QUEUE,
        [SHADOWCL__IMAGE__OBJECT__KIND_MEM] = KIND_MEM,
        [SHADOWCL__IMAGE__OBJECT__KIND_SAMPLER] = KIND_SAMPLER,
        [SHADOWCL__IMAGE__OBJECT__KIND_ORIGIN] = LOAD_ORIGIN,
        [SHADOWCL__IMAGE__OBJECT__KIND_RECIPE] = LOAD_RECIPE,
        [SHADOWCL__IMAGE__OBJECT__KIND_PROGRAM] = KIND_PROGRAM,
        [SHADOWCL__IMAGE__OBJECT__KIND_KERNEL] = KIND_KERNEL,
        [SHADOWCL__IMAGE__OBJECT__KIND_COMMAND_BUFFER] = KIND_COMMAND_BUFFER,
        [SHADOWCL__IMAGE__OBJECT__KIND_EVENT] = KIND_EVENT,
        [SHADOWCL__IMAGE__OBJECT__KIND_SVM] = LOAD_SVM,
    };
    size_t which = (size_t)message->kind_case;
    return which < sizeof kinds / sizeof *kinds ? kinds[which] : KIND_FREE;
}

static int load_any(struct load *load, const Shadowcl__Image__Object *message, void **it,
                    uint32_t *weight, struct error *err)
{
    switch (load->kind) {
    case KIND_PLATFORM:
        return load_platform(load, message->platform, it, err);
    case KIND_DEVICE:
        return load_device(load, message->device, it, err);
    case KIND_CONTEXT:
        return load_context(load, message->context, it, err);
    case KIND_QUEUE:
        return load_queue(load, message->queue, it, err);
    case KIND_MEM:
        return load_mem(load, message->mem, it, err);
    case KIND_SAMPLER:
        return load_sampler(load, message->sampler, it, err);
    case LOAD_ORIGIN:
        return load_origin(load, message->origin, it, err);
    case LOAD_RECIPE:
        return load_recipe(load, message->recipe, it, weight, err);
    case KIND_PROGRAM:
        return load_program(load, message->program, it, err);
    case KIND_KERNEL:
        return load_kernel(load, message->kernel, it, err);
    case KIND_COMMAND_BUFFER:
        return load_command_buffer(load, message->command_buffer, it, err);
    case KIND_EVENT:
        return load_event(load, message->event, it, err);
    case LOAD_SVM:
        return load_svm(load, message->svm, it, err);
    default:
        return refuse(err, "it is of no kind that this version knows");
    }
}

/* Why it can't be carried, where the image says so; NULL: it doesn't. */
static int keep_text(struct load *load, const char *text, const char **kept, struct error *err)
{
    *kept = NULL;
    if (!*text)
        return 0;
    char **texts = realloc(load->texts, (load->num_texts + 1) * sizeof *texts);
    if (texts)
        load->texts = texts;
    char *copy = texts ? strdup(text) : NULL;
    if (!copy)
        return load_no_memory(err);
    texts[load->num_texts++] = copy;
    *kept = copy;
    return 0;
}

static int load_one(struct load *load, const Shadowcl__Image__Object *message, struct error *err)
{
    void *it = NULL;
    uint32_t weight = 0;
    const char *refusal;
    if (!message->serial)
        return refuse(err, "it has no serial");
    if (load_find(load, message->serial))
        return refuse(err, "another object has its serial");
    if (!reserve(load))
        return load_no_memory(err);
    if (keep_text(load, message->refusal, &refusal, err) != 0 ||
        load_any(load, message, &it, &weight, err) != 0)
        return -1;
    if (it && load->kind < KIND_COUNT) {
        struct object *object = it;
        object->serial = message->serial;
        if (refusal)
            object->refusal = refusal;
        atomic_store(&object->refs, message->references);
        object_publish(object);
    }
    keep(load, it, weight);
    return 0;
}

static void name_message(const Shadowcl__Image__Object *message, int kind, struct error *err)
{
    const char *name = name_of(kind);
    if (kind == KIND_MEM)
        name = message->mem->image ? "image" : message->mem->parent ? "sub-buffer" : "buffer";
    if (kind == KIND_FREE)
        name = "object";
    error_object(err, "%s %" PRIu64, name, message->serial);
}

int load_object(struct load *load, const Shadowcl__Image__Object *message, uint64_t offset,
                struct error *err)
{
    struct error why = {0};
    load->kind = kind_of(message);
    load->serial = message->serial;
    if (load_one(load, message, &why) == 0)
        return 0;
    name_message(message, load->kind, err);
    error_set(err, 0, "%.300s (its record is at offset %" PRIu64 ")", why.reason, offset);
    return error_todo(err, "take another image: this one is not as shadowcl writes them");
}

static int by_kind_and_serial(const void *a, const void *b)
{
    const struct object *x = *(struct object *const *)a, *y = *(struct object *const *)b;
    if (x->was != y->was)
        return x->was < y->was ? -1 : 1;
    return x->serial < y->serial ? -1 : x->serial > y->serial;
}

struct object **load_list(const struct load *load, size_t *count)
{
    struct object **list = malloc((load->count + 1) * sizeof *list);
    *count = 0;
    for (size_t i = 0; list && i < load->count; i++)
        if (load->entries[i].kind < KIND_COUNT)
            list[(*count)++] = load->entries[i].it;
    if (list)
        qsort(list, *count, sizeof *list, by_kind_and_serial);
    return list;
}

size_t load_svm_count(const struct load *load)
{
    size_t count = 0;
    for (size_t i = 0; i < load->count; i++)
        count += load->entries[i].kind == LOAD_SVM;
    return count;
}
