/* SPDX-License-Identifier: Apache-2.0 */
/* Images that are not as they were written: each change is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image_sample.h"

/* A small image with every kind of record and of chunk, in memory. */
struct small {
    int fd;
    size_t size;
    uint8_t *bytes; /* owned */
};

static struct small small_create(void)
{
    struct small small = {.fd = sample_memfd()};
    struct sample samples[] = {sample_create(2, 130, SAMPLE_RANDOM, 1),
                               sample_create(3, 3 * 4096, SAMPLE_ZERO, 2),
                               sample_create(4, 4096, SAMPLE_ZERO, 3)};
    memset(samples[1].bytes + 4096, 'x', 4096);
    struct image_summary summary = sample_image(small.fd, IMAGE_COMPRESS_ZSTD, samples, 3);
    small.size = summary.file_bytes;
    small.bytes = malloc(small.size);
    assert_int_equal(pread(small.fd, small.bytes, small.size, 0), small.size);
    for (size_t i = 0; i < 3; i++)
        sample_destroy(&samples[i]);
    return small;
}

static void small_destroy(struct small *small)
{
    free(small->bytes);
    close(small->fd);
}

static int open_and_verify(int fd, struct error *err)
{
    struct image_reader *reader;
    if (image_reader_open(&reader, fd, err) < 0)
        return -1;
    int ret = image_reader_verify(reader, NULL, NULL, err);
    image_reader_close(reader);
    return ret;
}

static void expect_found(const struct small *small, size_t at, uint8_t value)
{
    struct error err = {0};
    assert_int_equal(pwrite(small->fd, &value, 1, (off_t)at), 1);
    if (open_and_verify(small->fd, &err) == 0)
        fail_msg("byte %zu changed from %02x to %02x was not found", at, small->bytes[at], value);
    if (strncmp(err.object, "image file, offset ", 19) || !err.reason[0])
        fail_msg("byte %zu: the error `%s: %s` does not say where", at, err.object, err.reason);
}

static void test_every_changed_byte_is_found(void **state)
{
    struct small small = small_create();
    struct error err = {0};
    assert_int_equal(open_and_verify(small.fd, &err), 0);
    for (size_t at = 0; at < small.size; at++) {
        for (int bit = 0; bit < 8; bit++)
            expect_found(&small, at, (uint8_t)(small.bytes[at] ^ 1 << bit));
        expect_found(&small, at, (uint8_t)~small.bytes[at]);
        assert_int_equal(pwrite(small.fd, small.bytes + at, 1, (off_t)at), 1);
    }
    assert_int_equal(open_and_verify(small.fd, &err), 0);
    small_destroy(&small);
}

static void test_every_shortened_image_is_found(void **state)
{
    struct small small = small_create();
    struct error err = {0};
    for (size_t size = small.size; size-- > 0;) {
        assert_int_equal(ftruncate(small.fd, (off_t)size), 0);
        if (open_and_verify(small.fd, &err) == 0)
            fail_msg("cut to %zu of %zu bytes was not found", size, small.size);
    }
    small_destroy(&small);
}

static void test_bytes_behind_the_end_are_found(void **state)
{
    struct small small = small_create();
    struct error err = {0};
    for (size_t more = 1; more < 200; more++) {
        assert_int_equal(pwrite(small.fd, "", 1, (off_t)(small.size + more - 1)), 1);
        assert_int_equal(open_and_verify(small.fd, &err), -1);
    }
    small_destroy(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_changed_byte_is_found),
        cmocka_unit_test(test_every_shortened_image_is_found),
        cmocka_unit_test(test_bytes_behind_the_end_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
