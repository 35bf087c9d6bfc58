/* SPDX-License-Identifier: Apache-2.0 */
/* What the messages of several kinds have. See save.h. */
#include <string.h>

#include "serialize/save.h"

Shadowcl__Image__Info **save_info(struct scratch *scratch, const struct info_cache *info,
                                  size_t *count)
{
    struct info_entry *first = atomic_load(&((struct info_cache *)info)->first);
    *count = 0;
    for (struct info_entry *entry = first; entry; entry = entry->next)
        ++*count;
    Shadowcl__Image__Info **list = scratch_array(scratch, *count, sizeof *list);
    Shadowcl__Image__Info *infos = scratch_array(scratch, *count, sizeof *infos);
    if (!list || !infos) {
        *count = 0;
        return NULL;
    }
    size_t i = *count; /* the oldest first: so they are remembered again in that order */
    for (struct info_entry *entry = first; entry; entry = entry->next) {
        i--;
        list[i] = &infos[i];
        shadowcl__image__info__init(&infos[i]);
        infos[i].param = entry->param;
        infos[i].bytes = save_bytes(entry->bytes, entry->size);
    }
    return list;
}

Shadowcl__Image__Properties *save_properties(struct scratch *scratch, const void *words,
                                             size_t num_words)
{
    if (!words)
        return NULL;
    Shadowcl__Image__Properties *properties = scratch_take(scratch, sizeof *properties);
    if (!properties)
        return NULL;
    shadowcl__image__properties__init(properties);
    properties->words = scratch_array(scratch, num_words - 1, sizeof *properties->words);
    if (!properties->words)
        return properties;
    properties->n_words = num_words - 1;
    memcpy(properties->words, words, properties->n_words * sizeof *properties->words);
    return properties;
}

uint64_t *save_numbers(struct scratch *scratch, const size_t *numbers, size_t count)
{
    uint64_t *list = scratch_array(scratch, count, sizeof *list);
    for (size_t i = 0; list && i < count; i++)
        list[i] = numbers[i];
    return list;
}

ProtobufCBinaryData save_bytes(const void *bytes, size_t size)
{
    return (ProtobufCBinaryData){.len = bytes ? size : 0, .data = (uint8_t *)bytes};
}

char *save_text(const char *text)
{
    return (char *)(text ? text : protobuf_c_empty_string);
}
