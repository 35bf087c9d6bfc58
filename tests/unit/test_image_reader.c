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

static struct small small_of(const struct sample *samples, size_t count)
{
    struct small small = {.fd = sample_memfd()};
    struct image_summary summary = sample_image(small.fd, IMAGE_COMPRESS_ZSTD, samples, count);
    small.size = summary.file_bytes;
    small.bytes = malloc(small.size);
    assert_int_equal(pread(small.fd, small.bytes, small.size, 0), small.size);
    return small;
}

static struct small small_create(void)
{
    struct sample samples[] = {sample_create(2, 130, SAMPLE_RANDOM, 1),
                               sample_create(3, 3 * 4096, SAMPLE_ZERO, 2),
                               sample_create(4, 4096, SAMPLE_ZERO, 3)};
    memset(samples[1].bytes + 4096, 'x', 4096);
    struct small small = small_of(samples, 3);
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

/* Every byte is changed, and put back: by each of its bits and all of them, or to each value. */
static void change_every_byte(const struct small *small, bool to_each)
{
    struct error err = {0};
    assert_int_equal(open_and_verify(small->fd, &err), 0);
    for (size_t at = 0; at < small->size; at++) {
        for (int other = 1; other < 256; other++)
            if (to_each || !(other & (other - 1)) || other == 255)
                expect_found(small, at, (uint8_t)(small->bytes[at] ^ other));
        assert_int_equal(pwrite(small->fd, small->bytes + at, 1, (off_t)at), 1);
    }
    assert_int_equal(open_and_verify(small->fd, &err), 0);
}

static void test_every_changed_byte_is_found(void **state)
{
    struct small small = small_create();
    change_every_byte(&small, false);
    small_destroy(&small);
}

/* Minutes under a sanitizer: some values do there. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { TO_EACH = false };
#else
enum { TO_EACH = true };
#endif

/* One buffer, of two pages: the first is zero, the second compressed. */
static void test_every_value_of_every_byte_is_found(void **state)
{
    struct sample sample = sample_create(2, 8192, SAMPLE_ZERO, 1);
    memset(sample.bytes + 4096, 'x', 4096);
    struct small small = small_of(&sample, 1);
    change_every_byte(&small, TO_EACH);
    small_destroy(&small);
    sample_destroy(&sample);
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

/* Where the first data record of that image begins, and how long it is. */
static size_t find_data(const uint8_t *image, size_t size, struct image_record *record)
{
    size_t at = sizeof(struct image_header);
    while (at < size) {
        memcpy(record, image + at, sizeof *record);
        if (record->type == IMAGE_DATA)
            return at;
        at += sizeof *record + record->length;
    }
    fail_msg("no data");
    return 0;
}

/* Two chunks of one object, each right by itself, and of one length. */
static void test_swapped_records_are_found(void **state)
{
    struct image_record record = {0};
    struct error err = {0};
    struct sample sample = sample_create(2, 2 * IMAGE_CHUNK, SAMPLE_RANDOM, 1);
    int fd = sample_memfd();
    size_t size = sample_image(fd, IMAGE_COMPRESS_OFF, &sample, 1).file_bytes;
    uint8_t *image = malloc(size);
    assert_int_equal(pread(fd, image, size, 0), size);
    size_t at = find_data(image, size, &record), whole = sizeof record + record.length;
    assert_int_equal(pwrite(fd, image + at, whole, (off_t)(at + whole)), whole);
    assert_int_equal(pwrite(fd, image + at + whole, whole, (off_t)at), whole);
    assert_int_equal(open_and_verify(fd, &err), -1);
    assert_non_null(strstr(err.reason, "checksum of the record's head is wrong"));
    free(image);
    sample_destroy(&sample);
    close(fd);
}

/* The same program saved twice: all lies at the same place. Reading the chunk finds it alone. */
static void test_record_of_another_image_is_found(void **state)
{
    struct image_record record = {0};
    struct image_reader *reader;
    struct error err = {0};
    struct sample samples[] = {sample_create(2, 100, SAMPLE_RANDOM, 1),
                               sample_create(2, 100, SAMPLE_RANDOM, 2)};
    int fds[] = {sample_memfd(), sample_memfd()};
    uint8_t image[4096], bytes[100];
    size_t size = sample_image(fds[0], IMAGE_COMPRESS_OFF, &samples[0], 1).file_bytes;
    assert_int_equal(sample_image(fds[1], IMAGE_COMPRESS_OFF, &samples[1], 1).file_bytes, size);
    assert_int_equal(pread(fds[0], image, sizeof image, 0), size);
    size_t at = find_data(image, size, &record), whole = sizeof record + record.length;
    assert_int_equal(pwrite(fds[1], image + at, whole, (off_t)at), whole);
    assert_int_equal(image_reader_open(&reader, fds[1], &err), 0);
    assert_int_equal(image_reader_chunk(reader, image_reader_contents(reader, 2), 0, bytes, &err),
                     -1);
    image_reader_close(reader);
    for (int i = 0; i < 2; i++) {
        sample_destroy(&samples[i]);
        close(fds[i]);
    }
}

static void test_file_cut_while_it_is_read_is_said(void **state)
{
    struct image_reader *reader;
    struct error err = {0};
    struct sample sample = sample_create(2, 3 * IMAGE_CHUNK, SAMPLE_RANDOM, 1);
    uint8_t *chunk = malloc(IMAGE_CHUNK);
    int fd = sample_memfd();
    sample_image(fd, IMAGE_COMPRESS_OFF, &sample, 1);
    assert_int_equal(image_reader_open(&reader, fd, &err), 0);
    assert_int_equal(ftruncate(fd, IMAGE_CHUNK + 5000), 0);
    const struct image_contents *contents = image_reader_contents(reader, 2);
    assert_int_equal(image_reader_chunk(reader, contents, 0, chunk, &err), 0);
    assert_int_equal(image_reader_chunk(reader, contents, 1, chunk, &err), -1);
    assert_string_equal(err.object, "image file, offset 1053576");
    assert_string_equal(err.reason, "the file ends here: it was cut short");
    image_reader_close(reader);
    sample_destroy(&sample);
    free(chunk);
    close(fd);
}

static bool stop_at_once(void *data, uint64_t done)
{
    *(uint64_t *)data = done;
    return false;
}

static void test_verifying_can_be_stopped(void **state)
{
    struct small small = small_create();
    struct image_reader *reader;
    struct error err = {0};
    uint64_t done = 0;
    assert_int_equal(image_reader_open(&reader, small.fd, &err), 0);
    assert_int_equal(image_reader_verify(reader, stop_at_once, &done, &err), -1);
    assert_in_range(done, 65, small.size - 1);
    image_reader_close(reader);
    small_destroy(&small);
}

static void test_what_is_no_file_is_refused(void **state)
{
    struct image_reader *reader;
    struct error err = {0};
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(image_reader_open(&reader, ends[0], &err), -1);
    assert_string_equal(err.reason, "it is not a file");
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_changed_byte_is_found),
        cmocka_unit_test(test_every_value_of_every_byte_is_found),
        cmocka_unit_test(test_every_shortened_image_is_found),
        cmocka_unit_test(test_bytes_behind_the_end_are_found),
        cmocka_unit_test(test_swapped_records_are_found),
        cmocka_unit_test(test_record_of_another_image_is_found),
        cmocka_unit_test(test_file_cut_while_it_is_read_is_said),
        cmocka_unit_test(test_verifying_can_be_stopped),
        cmocka_unit_test(test_what_is_no_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
