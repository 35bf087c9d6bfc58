/* SPDX-License-Identifier: Apache-2.0 */
/* How the pages of a chunk are stored: see image_pack.h. */
#include "serialize/image_pack.h"

#include <stdlib.h>
#include <time.h>
#include <zstd.h>

#include "serialize/image_hash.h"

#define LEVEL 1
/* While it is off, so many bytes of every so many chunks are compressed to see whether it should
 * still be: a thousandth of the time that writing takes. */
#define PROBE_BYTES ((size_t)64 << 10)
#define PROBE_EVERY 64

static int need_buffer(uint8_t **buffer)
{
    if (!*buffer)
        *buffer = malloc(IMAGE_CHUNK);
    return *buffer ? 0 : -1;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void note_cost(struct image_packer *packer, double cost, double ratio)
{
    if (!packer->cost) {
        packer->cost = cost;
        packer->ratio = ratio;
        return;
    }
    packer->cost += (cost - packer->cost) / 4;
    packer->ratio += (ratio - packer->ratio) / 4;
}

/* How many bytes come of it; 0: not less than there were. */
static size_t compress(struct image_packer *packer, const void *bytes, size_t size)
{
    double begin = now();
    size_t got = ZSTD_compressCCtx(packer->zstd, packer->compressed, size - 1, bytes, size, LEVEL);
    if (ZSTD_isError(got))
        got = 0;
    note_cost(packer, (now() - begin) / (double)size, got ? (double)got / (double)size : 1);
    return got;
}

static bool pays(const struct image_packer *packer, double sink_cost)
{
    return packer->cost + packer->ratio * sink_cost < sink_cost;
}

/* AUTO: what lately was, said of this chunk. */
static bool wanted(struct image_packer *packer, const void *bytes, size_t size, double sink_cost)
{
    if (packer->compression == IMAGE_COMPRESS_ZSTD)
        return true;
    if (!packer->until_probe) {
        packer->until_probe = PROBE_EVERY;
        compress(packer, bytes, size < PROBE_BYTES ? size : PROBE_BYTES);
    }
    packer->until_probe--;
    return pays(packer, sink_cost);
}

static int prepare(struct image_packer *packer)
{
    if (!packer->zstd)
        packer->zstd = ZSTD_createCCtx();
    if (!packer->zstd || need_buffer(&packer->packed) < 0 || need_buffer(&packer->compressed) < 0)
        return -1;
    return 0;
}

static void as_they_are(const struct image_pages *pages, const void *bytes,
                        struct image_packed *packed)
{
    packed->codec = IMAGE_RAW;
    packed->checksum = 0;
    packed->count = image_pages_runs(pages, bytes, packed->runs);
}

int image_packer_pack(struct image_packer *packer, const struct image_pages *pages,
                      const void *bytes, double sink_cost, struct image_packed *packed)
{
    size_t size = pages->stored;
    as_they_are(pages, bytes, packed);
    if (packer->compression == IMAGE_COMPRESS_OFF)
        return 0;
    if (prepare(packer) < 0)
        return -1;
    if (packed->count > 1) {
        image_pages_pack(pages, bytes, packer->packed);
        bytes = packer->packed;
    } else {
        bytes = packed->runs[0].iov_base;
    }
    size_t got = wanted(packer, bytes, size, sink_cost) ? compress(packer, bytes, size) : 0;
    if (!got)
        return 0;
    packed->codec = IMAGE_ZSTD;
    packed->checksum = image_checksum(packer->compressed, got);
    packed->count = 1;
    packed->runs[0] = (struct iovec){packer->compressed, got};
    return 0;
}

void image_packer_finish(struct image_packer *packer)
{
    ZSTD_freeCCtx(packer->zstd);
    free(packer->packed);
    free(packer->compressed);
}
