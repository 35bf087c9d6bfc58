/* SPDX-License-Identifier: Apache-2.0 */
/* The pages of a chunk: see image_chunk.h. */
#include "serialize/image_chunk.h"

#include <assert.h>
#include <string.h>

/* Sixteen words at a time, without a branch among them: the compiler makes vectors of these. Most
 * pages that aren't zero end it at the first sixteen. */
static bool is_zero(const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    for (; size - at >= 128; at += 128) {
        uint64_t words[16], any = 0;
        memcpy(words, bytes + at, sizeof words);
        for (int i = 0; i < 16; i++)
            any |= words[i];
        if (any)
            return false;
    }
    uint8_t any = 0;
    for (; at < size; at++)
        any |= bytes[at];
    return !any;
}

static size_t page_size(size_t size, size_t page)
{
    size_t left = size - page * IMAGE_PAGE;
    return left < IMAGE_PAGE ? left : IMAGE_PAGE;
}

static bool is_set(const struct image_pages *pages, size_t page)
{
    return pages->map[page / 8] >> (page % 8) & 1;
}

static void set(struct image_pages *pages, size_t page)
{
    pages->map[page / 8] |= (uint8_t)(1 << (page % 8));
    pages->stored += page_size(pages->size, page);
}

static size_t count_pages(size_t size)
{
    return (size + IMAGE_PAGE - 1) / IMAGE_PAGE;
}

static void begin(struct image_pages *pages, size_t size)
{
    assert(size <= IMAGE_CHUNK);
    memset(pages, 0, sizeof *pages);
    pages->size = size;
}

void image_pages_find(struct image_pages *pages, const void *bytes, size_t size)
{
    begin(pages, size);
    for (size_t i = 0; i < count_pages(size); i++)
        if (!is_zero((const uint8_t *)bytes + i * IMAGE_PAGE, page_size(size, i)))
            set(pages, i);
}

void image_pages_fill(struct image_pages *pages, size_t size)
{
    begin(pages, size);
    for (size_t i = 0; i < count_pages(size); i++)
        set(pages, i);
}

int image_pages_read(struct image_pages *pages, size_t size, const uint8_t *map)
{
    begin(pages, size);
    for (size_t i = 0; i < 8 * image_pages_map_bytes(size); i++) {
        if (!(map[i / 8] >> (i % 8) & 1))
            continue;
        if (i >= count_pages(size))
            return -1;
        set(pages, i);
    }
    return 0;
}

size_t image_pages_map_bytes(size_t size)
{
    return (count_pages(size) + 7) / 8;
}

int image_pages_runs(const struct image_pages *pages, const void *bytes,
                     struct iovec runs[IMAGE_CHUNK_RUNS])
{
    int count = 0;
    for (size_t i = 0, end = count_pages(pages->size); i < end; i++) {
        if (!is_set(pages, i))
            continue;
        if (i > 0 && is_set(pages, i - 1))
            runs[count - 1].iov_len += page_size(pages->size, i);
        else
            runs[count++] =
                (struct iovec){(uint8_t *)bytes + i * IMAGE_PAGE, page_size(pages->size, i)};
    }
    return count;
}

void image_pages_pack(const struct image_pages *pages, const void *bytes, void *to)
{
    struct iovec runs[IMAGE_CHUNK_RUNS];
    uint8_t *next = to;
    int count = image_pages_runs(pages, bytes, runs);
    for (int i = 0; i < count; i++) {
        memcpy(next, runs[i].iov_base, runs[i].iov_len);
        next += runs[i].iov_len;
    }
}

void image_pages_spread(const struct image_pages *pages, const void *from, void *bytes)
{
    struct iovec runs[IMAGE_CHUNK_RUNS];
    const uint8_t *next = from;
    uint8_t *at = bytes, *end = at + pages->size;
    int count = image_pages_runs(pages, bytes, runs);
    for (int i = 0; i < count; i++) {
        uint8_t *run = runs[i].iov_base;
        memset(at, 0, (size_t)(run - at));
        memcpy(run, next, runs[i].iov_len);
        next += runs[i].iov_len;
        at = run + runs[i].iov_len;
    }
    memset(at, 0, (size_t)(end - at));
}
