/* SPDX-License-Identifier: Apache-2.0 */
/* How clGet*Info calls answer, and answers that must never change again: what the application was
 * once told of a platform or device stays, also when the device under it is another one. */
#ifndef SHADOWCL_STATE_INFO_H
#define SHADOWCL_STATE_INFO_H

#include <CL/cl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Where a query's answer goes; the three last parameters of every clGet*Info. */
struct answer {
    size_t size;
    void *value;
    size_t *size_ret;
};

/* Copies the answer out: CL_INVALID_VALUE when it does not fit (nothing is written then). Inline: a
 * size that the compiler knows makes it a few instructions. */
static inline cl_int info_bytes(struct answer to, const void *bytes, size_t size)
{
    if (to.value && to.size < size)
        return CL_INVALID_VALUE;
    if (to.value && size)
        memcpy(to.value, bytes, size);
    if (to.size_ret)
        *to.size_ret = size;
    return CL_SUCCESS;
}
cl_int info_string(struct answer to, const char *string);
/* `info_value(to, (cl_uint)3)`: the answer is the value, in its own type. */
#define info_value(to, v)                                                                          \
    __extension__({                                                                                \
        __typeof__(v) info_value_ = (v);                                                           \
        info_bytes((to), &info_value_, sizeof info_value_);                                        \
    })

struct info_entry {
    struct info_entry *next;
    cl_uint param;
    uint32_t size;
    unsigned char bytes[]; /* a NUL follows: a text is one whoever gave it */
};

/* Grows at the front only; entries are never changed or removed while its object lives. */
struct info_cache {
    struct info_entry *_Atomic first;
};

const struct info_entry *info_cache_find(struct info_cache *cache, cl_uint param);
/* Remembers an answer of less than 4 GiB unless there is one already; returns what is remembered
 * now, NULL without memory. */
const struct info_entry *info_cache_add(struct info_cache *cache, cl_uint param, const void *bytes,
                                        size_t size);
void info_cache_finish(struct info_cache *cache);

#endif
