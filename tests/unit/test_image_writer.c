/* SPDX-License-Identifier: Apache-2.0 */
/* Images that are written are read again byte by byte; what costs nothing takes no room; sinks that
 * fail are said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "image_sample.h"

#define MIB ((size_t)1 << 20)

static const size_t sizes[] = {0, 1, 4095, 4096, 4097, MIB - 1, MIB, MIB + 1, 5 * MIB + 3};
#define COUNT_SIZES (sizeof sizes / sizeof *sizes)

static void round_trip(enum image_compression compression, enum sample_fill fill)
{
    struct sample samples[COUNT_SIZES];
    int fd = sample_memfd();
    for (size_t i = 0; i < COUNT_SIZES; i++)
        samples[i] = sample_create(10 + i, sizes[i], fill, i);
    sample_image(fd, compression, samples, COUNT_SIZES);
    sample_compare(fd, samples, COUNT_SIZES);
    for (size_t i = 0; i < COUNT_SIZES; i++)
        sample_destroy(&samples[i]);
    close(fd);
}

static void test_contents_of_all_sizes_and_kinds_come_back(void **state)
{
    for (enum image_compression compression = IMAGE_COMPRESS_AUTO;
         compression <= IMAGE_COMPRESS_ZSTD; compression++)
        for (enum sample_fill fill = SAMPLE_ZERO; fill <= SAMPLE_TEXT; fill++)
            round_trip(compression, fill);
}

static void test_image_without_objects_contents_is_whole(void **state)
{
    int fd = sample_memfd();
    sample_image(fd, IMAGE_COMPRESS_AUTO, NULL, 0);
    sample_compare(fd, NULL, 0);
    close(fd);
}

static void test_zeros_take_no_room(void **state)
{
    int fd = sample_memfd();
    struct sample zeros = sample_create(2, 64 * MIB, SAMPLE_ZERO, 0);
    struct image_summary summary = sample_image(fd, IMAGE_COMPRESS_OFF, &zeros, 1);
    assert_int_equal(summary.zero_bytes, 64 * MIB);
    assert_in_range(summary.file_bytes, 1, 1024);
    sample_compare(fd, &zeros, 1);
    sample_destroy(&zeros);
    close(fd);
}

/* At most 1 KB for each object, and a hundred bytes for a chunk. */
static void test_half_zero_takes_half(void **state)
{
    int fd = sample_memfd();
    struct sample half = sample_create(2, 16 * MIB, SAMPLE_HALF_ZERO, 1);
    struct image_summary summary = sample_image(fd, IMAGE_COMPRESS_OFF, &half, 1);
    assert_int_equal(summary.zero_bytes, 8 * MIB);
    assert_in_range(summary.file_bytes, 8 * MIB, 8 * MIB + 2 * 1024 + 16 * 112);
    sample_destroy(&half);
    close(fd);
}

static void test_equal_chunks_are_stored_once(void **state)
{
    int fd = sample_memfd();
    struct sample samples[2] = {sample_create(2, 4 * MIB, SAMPLE_RANDOM, 7),
                                sample_create(3, 4 * MIB, SAMPLE_RANDOM, 7)};
    memcpy(samples[0].bytes + MIB, samples[0].bytes, MIB);
    struct image_summary summary = sample_image(fd, IMAGE_COMPRESS_OFF, samples, 2);
    assert_int_equal(summary.equal_bytes, 4 * MIB);
    assert_in_range(summary.file_bytes, 4 * MIB, 4 * MIB + 4096);
    sample_compare(fd, samples, 2);
    sample_destroy(&samples[0]);
    sample_destroy(&samples[1]);
    close(fd);
}

static void test_text_is_compressed(void **state)
{
    int fd = sample_memfd();
    struct sample text = sample_create(2, 4 * MIB, SAMPLE_TEXT, 7);
    struct image_summary summary = sample_image(fd, IMAGE_COMPRESS_ZSTD, &text, 1);
    assert_in_range(summary.file_bytes, 1, 3 * MIB);
    sample_compare(fd, &text, 1);
    sample_destroy(&text);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents_of_all_sizes_and_kinds_come_back),
        cmocka_unit_test(test_image_without_objects_contents_is_whole),
        cmocka_unit_test(test_zeros_take_no_room),
        cmocka_unit_test(test_half_zero_takes_half),
        cmocka_unit_test(test_equal_chunks_are_stored_once),
        cmocka_unit_test(test_text_is_compressed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
