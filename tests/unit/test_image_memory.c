/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: how much writing and reading take at most, and that each allocation may fail. Linked with
 * malloc and its like wrapped (CMakeLists.txt). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image_sample.h"

#define MIB ((size_t)1 << 20)

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);

static size_t used, peak;
static long until_failure = -1; /* allocations; less than 0: none fails */

static void *count(void *block)
{
    used += malloc_usable_size(block);
    peak = used > peak ? used : peak;
    return block;
}

static bool fails(void)
{
    return until_failure >= 0 && until_failure-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : count(__real_malloc(size));
}

void *__wrap_calloc(size_t number, size_t size)
{
    return fails() ? NULL : count(__real_calloc(number, size));
}

void *__wrap_realloc(void *block, size_t size)
{
    if (fails())
        return NULL;
    used -= malloc_usable_size(block);
    return count(__real_realloc(block, size));
}

void __wrap_free(void *block)
{
    used -= malloc_usable_size(block);
    __real_free(block);
}

static size_t peak_above(size_t before)
{
    return peak - before;
}

static void test_writing_and_reading_take_a_few_chunks(void **state)
{
    static const enum sample_fill fills[] = {SAMPLE_RANDOM, SAMPLE_HALF_ZERO, SAMPLE_TEXT};
    for (size_t i = 0; i < sizeof fills / sizeof *fills; i++) {
        int fd = sample_memfd();
        struct sample sample = sample_create(2, 32 * MIB, fills[i], i);
        memcpy(sample.bytes + MIB, sample.bytes, MIB); /* one that is compared */
        size_t before = peak = used;
        sample_image(fd, IMAGE_COMPRESS_ZSTD, &sample, 1);
        assert_in_range(peak_above(before), 1, 6 * MIB);
        assert_int_equal(used, before);
        peak = used;
        sample_compare(fd, &sample, 1);
        assert_in_range(peak_above(before), 1, 7 * MIB);
        assert_int_equal(used, before);
        sample_destroy(&sample);
        close(fd);
    }
}

static struct sample make_sample(void)
{
    struct sample sample = sample_create(2, 3 * MIB + 5000, SAMPLE_TEXT, 1);
    memset(sample.bytes + 4096, 0, 4096);
    memcpy(sample.bytes + 2 * MIB, sample.bytes, MIB);
    return sample;
}

/* Each in its turn, until none does: an error is said, and nothing is left behind. */
static void test_each_allocation_of_the_writer_may_fail(void **state)
{
    struct sample sample = make_sample();
    for (long i = 0;; i++) {
        struct error err = {0};
        struct image_summary summary;
        int fd = sample_memfd();
        size_t before = used;
        until_failure = i;
        int ret = sample_write(fd, IMAGE_COMPRESS_ZSTD, &sample, 1, &summary, &err);
        bool reached = until_failure < 0;
        until_failure = -1;
        assert_int_equal(used, before);
        close(fd);
        if (!reached) {
            assert_int_equal(ret, 0);
            assert_in_range(i, 10, 1000);
            break;
        }
        if (ret < 0)
            assert_string_equal(err.todo, "free some memory");
    }
    sample_destroy(&sample);
}

static int read_all(int fd, uint8_t *chunk, struct error *err)
{
    struct image_reader *reader;
    if (image_reader_open(&reader, fd, err) < 0)
        return -1;
    const struct image_contents *contents = image_reader_contents(reader, 2);
    int ret = image_reader_verify(reader, NULL, NULL, err);
    for (size_t i = 0; ret == 0 && i < contents->num_chunks; i++)
        ret = image_reader_chunk(reader, contents, i, chunk, err);
    image_reader_close(reader);
    return ret;
}

static void test_each_allocation_of_the_reader_may_fail(void **state)
{
    static uint8_t chunk[IMAGE_CHUNK];
    struct sample sample = make_sample();
    int fd = sample_memfd();
    sample_image(fd, IMAGE_COMPRESS_ZSTD, &sample, 1);
    for (long i = 0;; i++) {
        struct error err = {0};
        size_t before = used;
        until_failure = i;
        int ret = read_all(fd, chunk, &err);
        bool reached = until_failure < 0;
        until_failure = -1;
        assert_int_equal(used, before);
        if (!reached) {
            assert_int_equal(ret, 0);
            assert_in_range(i, 10, 1000);
            break;
        }
        assert_int_equal(ret, -1);
        assert_string_equal(err.todo, "free some memory");
    }
    sample_destroy(&sample);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writing_and_reading_take_a_few_chunks),
        cmocka_unit_test(test_each_allocation_of_the_writer_may_fail),
        cmocka_unit_test(test_each_allocation_of_the_reader_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
