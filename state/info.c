/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of clGet*Info: see info.h. */
#include "state/info.h"

#include <stdlib.h>
#include <string.h>

cl_int info_string(struct answer to, const char *string)
{
    return info_bytes(to, string ? string : "", string ? strlen(string) + 1 : 1);
}

const struct info_entry *info_cache_find(struct info_cache *cache, cl_uint param)
{
    for (struct info_entry *entry = atomic_load(&cache->first); entry; entry = entry->next)
        if (entry->param == param)
            return entry;
    return NULL;
}

const struct info_entry *info_cache_add(struct info_cache *cache, cl_uint param, const void *bytes,
                                        size_t size)
{
    struct info_entry *entry = size < UINT32_MAX ? malloc(sizeof *entry + size + 1) : NULL;
    if (!entry)
        return NULL;
    entry->param = param;
    entry->size = (uint32_t)size;
    if (size)
        memcpy(entry->bytes, bytes, size);
    entry->bytes[size] = 0;
    entry->next = atomic_load(&cache->first);
    do {
        const struct info_entry *before = info_cache_find(cache, param);
        if (before) {
            free(entry);
            return before;
        }
    } while (!atomic_compare_exchange_weak(&cache->first, &entry->next, entry));
    return entry;
}

void info_cache_finish(struct info_cache *cache)
{
    struct info_entry *entry = atomic_exchange(&cache->first, NULL);
    while (entry) {
        struct info_entry *next = entry->next;
        free(entry);
        entry = next;
    }
}
