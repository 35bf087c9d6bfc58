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
#include "serialize/image_pack.h"

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

static void put(struct image_writer *writer, const struct sample *sample)
{
    struct error err = {0};
    assert_int_equal(image_writer_begin(writer, sample->serial, sample->size, &err), 0);
    for (size_t at = 0; at < sample->size; at += MIB)
        assert_int_equal(image_writer_chunk(writer, sample->bytes + at,
                                            sample->size - at < MIB ? sample->size - at : MIB,
                                            &err),
                         0);
}

static void put_aside(struct image_writer *writer, const struct sample *sample)
{
    struct error err = {0};
    put(writer, sample);
    assert_int_equal(image_writer_set_aside(writer, &err), 0);
}

static struct image_writer *begin_image(int fd, enum image_compression compression)
{
    struct image_writer *writer;
    struct error err = {0};
    assert_int_equal(image_writer_create(&writer, fd, compression, &err), 0);
    assert_int_equal(sample_begin(writer, &err), 0);
    return writer;
}

/* The objects of contents that are in it, and the end. */
static struct image_summary finish_image(struct image_writer *writer, const struct sample *samples,
                                         size_t count)
{
    struct image_summary summary;
    struct error err = {0};
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(image_writer_settle(writer, samples[i].serial, &err), 0);
        assert_int_equal(sample_object(writer, &samples[i], &err), 0);
    }
    assert_int_equal(image_writer_finish(writer, &summary, &err), 0);
    image_writer_destroy(writer);
    return summary;
}

static uint64_t sum(const struct sample *samples, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += samples[i].size;
    return bytes;
}

/* Buffers that change, wholly or in part, become those that another had, or zeros. */
static void written_again(enum image_compression compression, enum sample_fill fill)
{
    const size_t large = 5 * MIB + 3;
    struct sample samples[] = {sample_create(10, large, fill, 1), sample_create(11, large, fill, 2),
                               sample_create(12, 4096, fill, 3), sample_create(13, large, fill, 4)};
    struct sample gone = sample_create(14, large, fill, 5);
    int fd = sample_memfd();
    struct image_writer *writer = begin_image(fd, compression);
    put_aside(writer, &gone);
    for (int i = 0; i < 4; i++)
        put_aside(writer, &samples[i]);
    for (uint64_t round = 0; round < 6; round++) {
        sample_fill(samples[0].bytes, large, fill, 10 + round);
        memcpy(samples[1].bytes + MIB, samples[round % 2 ? 0 : 3].bytes + 3 * MIB, MIB);
        memset(samples[3].bytes + (round % 4) * MIB, 0, round == 4 ? 2 * MIB : MIB / 2);
        for (int i = 0; i < 4; i++)
            put_aside(writer, &samples[(i + (int)round) % 4]);
    }
    struct error err = {0};
    samples[2].bytes[77] ^= 1;
    put(writer, &samples[2]);
    assert_false(image_writer_is_as_before(writer));
    assert_int_equal(image_writer_end(writer, &err), 0);
    put(writer, &samples[0]);
    assert_true(image_writer_is_as_before(writer));
    assert_int_equal(image_writer_end(writer, &err), 0);
    struct image_summary summary = finish_image(writer, samples, 4);
    assert_int_equal(summary.contents_bytes, sum(samples, 4));
    sample_compare(fd, samples, 4);
    for (int i = 0; i < 4; i++)
        sample_destroy(&samples[i]);
    sample_destroy(&gone);
    close(fd);
}

static void test_contents_can_be_written_again(void **state)
{
    for (enum image_compression compression = IMAGE_COMPRESS_AUTO;
         compression <= IMAGE_COMPRESS_ZSTD; compression++)
        for (enum sample_fill fill = SAMPLE_ZERO; fill <= SAMPLE_TEXT; fill++)
            written_again(compression, fill);
}

static void test_contents_written_again_take_their_own_place(void **state)
{
    struct sample sample = sample_create(2, 8 * MIB + 5, SAMPLE_RANDOM, 1);
    int fd = sample_memfd();
    struct image_writer *writer = begin_image(fd, IMAGE_COMPRESS_OFF);
    for (uint64_t round = 0; round < 8; round++) {
        sample_fill(sample.bytes, sample.size, SAMPLE_RANDOM, round + 1);
        put_aside(writer, &sample);
    }
    struct image_summary summary = finish_image(writer, &sample, 1);
    assert_int_equal(summary.equal_bytes, 0);
    assert_in_range(summary.file_bytes, sample.size, sample.size + 2048);
    sample_compare(fd, &sample, 1);
    sample_destroy(&sample);
    close(fd);
}

/* Equal is what another has too in the end, however often each was put there. */
static void test_equal_bytes_are_those_of_the_last_contents(void **state)
{
    struct sample samples[] = {sample_create(2, 2 * MIB, SAMPLE_RANDOM, 1),
                               sample_create(3, 2 * MIB, SAMPLE_RANDOM, 1),
                               sample_create(4, 2 * MIB, SAMPLE_RANDOM, 2)};
    int fd = sample_memfd();
    struct image_writer *writer = begin_image(fd, IMAGE_COMPRESS_OFF);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 3; i++)
            put_aside(writer, &samples[i]);
    struct image_summary summary = finish_image(writer, samples, 3);
    assert_int_equal(summary.equal_bytes, 2 * MIB);
    sample_compare(fd, samples, 3);
    close(fd);
    fd = sample_memfd();
    writer = begin_image(fd, IMAGE_COMPRESS_OFF);
    put_aside(writer, &samples[0]);
    put_aside(writer, &samples[1]);
    sample_fill(samples[0].bytes, 2 * MIB, SAMPLE_RANDOM, 3);
    put_aside(writer, &samples[0]);
    summary = finish_image(writer, samples, 2);
    assert_int_equal(summary.equal_bytes, 0);
    sample_compare(fd, samples, 2);
    close(fd);
    for (int i = 0; i < 3; i++)
        sample_destroy(&samples[i]);
}

/* A chunk that another has too stays for that one. */
static void test_shared_chunks_are_not_written_over(void **state)
{
    struct sample samples[] = {sample_create(2, 2 * MIB, SAMPLE_RANDOM, 1),
                               sample_create(3, 2 * MIB, SAMPLE_RANDOM, 1)};
    int fd = sample_memfd();
    struct image_writer *writer = begin_image(fd, IMAGE_COMPRESS_OFF);
    put_aside(writer, &samples[0]);
    put_aside(writer, &samples[1]);
    sample_fill(samples[0].bytes, 2 * MIB, SAMPLE_RANDOM, 2);
    put_aside(writer, &samples[0]);
    sample_fill(samples[1].bytes + MIB, MIB, SAMPLE_RANDOM, 3);
    put_aside(writer, &samples[1]);
    finish_image(writer, samples, 2);
    sample_compare(fd, samples, 2);
    sample_destroy(&samples[0]);
    sample_destroy(&samples[1]);
    close(fd);
}

/* Half written over: what was there before counts no more. */
static void test_contents_that_come_to_no_end_do_not_count(void **state)
{
    struct sample samples[] = {sample_create(2, 3 * MIB, SAMPLE_RANDOM, 1),
                               sample_create(3, MIB, SAMPLE_RANDOM, 2)};
    struct error err = {0};
    int fd = sample_memfd();
    struct image_writer *writer = begin_image(fd, IMAGE_COMPRESS_OFF);
    put_aside(writer, &samples[0]);
    put_aside(writer, &samples[1]);
    sample_fill(samples[0].bytes, MIB, SAMPLE_RANDOM, 4);
    assert_int_equal(image_writer_begin(writer, 2, 3 * MIB, &err), 0);
    assert_int_equal(image_writer_chunk(writer, samples[0].bytes, MIB, &err), 0);
    image_writer_abandon(writer);
    finish_image(writer, samples + 1, 1);
    sample_compare(fd, samples + 1, 1);
    sample_destroy(&samples[0]);
    sample_destroy(&samples[1]);
    close(fd);
}

/* Reads all that comes until the end, into a file. */
struct drain {
    int from;
    int to;
};

static void *drain(void *data)
{
    const struct drain *drain = data;
    static char bytes[5000];
    ssize_t got;
    while ((got = read(drain->from, bytes, sizeof bytes)) > 0)
        if (write(drain->to, bytes, (size_t)got) != got)
            abort();
    return NULL;
}

/* Through ends[1], as it was made. */
static void through(int ends[2])
{
    struct sample samples[] = {sample_create(2, 2 * MIB + 7, SAMPLE_RANDOM, 1),
                               sample_create(3, 2 * MIB + 7, SAMPLE_RANDOM, 1),
                               sample_create(4, 2 * MIB + 7, SAMPLE_HALF_ZERO, 2)};
    struct drain way = {ends[0], sample_memfd()};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, drain, &way), 0);
    struct image_summary summary = sample_image(ends[1], IMAGE_COMPRESS_OFF, samples, 3);
    close(ends[1]);
    pthread_join(thread, NULL);
    assert_int_equal(lseek(way.to, 0, SEEK_CUR), summary.file_bytes);
    assert_int_equal(summary.equal_bytes, 0);
    assert_true(summary.zero_bytes >= MIB);
    sample_compare(way.to, samples, 3);
    for (int i = 0; i < 3; i++)
        sample_destroy(&samples[i]);
    close(ends[0]);
    close(way.to);
}

static void test_pipe_and_socket_take_images(void **state)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    through(ends);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    through(ends);
}

static void test_image_begins_where_the_file_stands(void **state)
{
    struct sample samples[2] = {sample_create(2, MIB, SAMPLE_RANDOM, 7),
                                sample_create(3, MIB, SAMPLE_RANDOM, 7)};
    int fd = sample_memfd(), alone = sample_memfd();
    char bytes[4096];
    ssize_t got;
    assert_int_equal(write(fd, "before", 6), 6);
    struct image_summary summary = sample_image(fd, IMAGE_COMPRESS_OFF, samples, 2);
    assert_int_equal(summary.equal_bytes, MIB);
    assert_int_equal(lseek(fd, 6, SEEK_SET), 6);
    while ((got = read(fd, bytes, sizeof bytes)) > 0)
        assert_int_equal(write(alone, bytes, (size_t)got), got);
    sample_compare(alone, samples, 2);
    sample_destroy(&samples[0]);
    sample_destroy(&samples[1]);
    close(fd);
    close(alone);
}

/* The earlier chunk is no longer what it was: its hash is not enough. */
static void test_chunks_are_compared_before_they_are_equal(void **state)
{
    Shadowcl__Image__About about = SHADOWCL__IMAGE__ABOUT__INIT;
    struct sample sample = sample_create(2, MIB, SAMPLE_RANDOM, 7);
    struct image_writer *writer;
    struct error err = {0};
    int fd = sample_memfd();
    assert_int_equal(image_writer_create(&writer, fd, IMAGE_COMPRESS_OFF, &err), 0);
    assert_int_equal(image_writer_about(writer, &about.base, &err), 0);
    assert_int_equal(image_writer_begin(writer, 2, 2 * MIB, &err), 0);
    assert_int_equal(image_writer_chunk(writer, sample.bytes, MIB, &err), 0);
    uint8_t other = (uint8_t)~sample.bytes[MIB - 1];
    assert_int_equal(pwrite(fd, &other, 1, lseek(fd, 0, SEEK_CUR) - 1), 1);
    assert_int_equal(image_writer_chunk(writer, sample.bytes, MIB, &err), -1);
    assert_string_equal(err.reason, "the chunk's bytes are not what its hash says");
    image_writer_destroy(writer);
    sample_destroy(&sample);
    close(fd);
}

static void expect_failure(int fd, const char *object, const char *reason)
{
    struct sample sample = sample_create(2, 3 * MIB, SAMPLE_RANDOM, 1);
    struct image_summary summary;
    struct error err = {0};
    assert_int_equal(sample_write(fd, IMAGE_COMPRESS_OFF, &sample, 1, &summary, &err), -1);
    assert_string_equal(err.object, object);
    assert_string_equal(err.reason, reason);
    assert_true(err.todo[0]);
    sample_destroy(&sample);
}

static void test_full_disk_is_said(void **state)
{
    int fd = open("/dev/full", O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    expect_failure(fd, "image file, offset 0", "write: No space left on device");
    close(fd);
}

/* SIGXFSZ and SIGPIPE would end the program: neither comes. */
static void test_limit_on_files_is_said_and_no_signal_comes(void **state)
{
    struct rlimit before, limit;
    int fd = sample_memfd();
    getrlimit(RLIMIT_FSIZE, &before);
    limit = (struct rlimit){MIB + 100, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    expect_failure(fd, "image file, offset 1048676", "write: File too large");
    setrlimit(RLIMIT_FSIZE, &before);
    close(fd);
}

static void test_reader_that_has_gone_is_said_and_no_signal_comes(void **state)
{
    int ends[2];
    sigset_t pending;
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    expect_failure(ends[1], "image file, offset 0", "write: Broken pipe");
    sigpending(&pending);
    assert_false(sigismember(&pending, SIGPIPE));
    close(ends[1]);
}

static bool asked_often_enough(void *number)
{
    return ++*(int *)number > 2;
}

/* Whose program stands still meanwhile. */
static void test_reader_that_stops_is_not_waited_for_without_end(void **state)
{
    for (int kind = 0; kind < 4; kind++) {
        Shadowcl__Image__About about = SHADOWCL__IMAGE__ABOUT__INIT;
        static uint8_t bytes[MIB];
        struct image_writer *writer;
        struct error err = {0};
        int ends[2], number = 0;
        assert_int_equal(kind < 2 ? pipe(ends) : socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        assert_int_equal(image_writer_create(&writer, ends[1], IMAGE_COMPRESS_OFF, &err), 0);
        image_writer_wait_until(writer, kind % 2 ? asked_often_enough : NULL, &number, 0.3);
        memset(bytes, 3, sizeof bytes);
        assert_int_equal(image_writer_about(writer, &about.base, &err), 0);
        int result = image_writer_begin(writer, 2, sizeof bytes, &err);
        if (result == 0)
            result = image_writer_chunk(writer, bytes, sizeof bytes, &err);
        assert_int_equal(result, -1);
        assert_string_equal(err.reason, kind % 2 ? "who asked for it has gone away"
                                                 : "its reader has taken nothing for 0.3 s");
        image_writer_destroy(writer);
        close(ends[0]);
        close(ends[1]);
    }
}

static void test_what_failed_fails_again(void **state)
{
    Shadowcl__Image__About about = SHADOWCL__IMAGE__ABOUT__INIT;
    struct image_writer *writer;
    struct error first = {0}, again = {0};
    int fd = open("/dev/full", O_RDWR | O_CLOEXEC);
    assert_int_equal(image_writer_create(&writer, fd, IMAGE_COMPRESS_OFF, &first), 0);
    assert_int_equal(image_writer_about(writer, &about.base, &first), 0);
    assert_int_equal(image_writer_finish(writer, NULL, &first), -1);
    assert_int_equal(image_writer_object(writer, 2, &about.base, &again), -1);
    assert_string_equal(again.reason, first.reason);
    image_writer_destroy(writer);
    close(fd);
}

static enum image_codec pack(enum sample_fill fill, enum image_compression compression,
                             double sink_cost)
{
    struct image_packer packer = {.compression = compression};
    struct image_packed packed;
    struct image_pages pages;
    struct sample sample = sample_create(2, MIB, fill, 3);
    image_pages_find(&pages, sample.bytes, MIB);
    assert_int_equal(image_packer_pack(&packer, &pages, sample.bytes, sink_cost, &packed), 0);
    image_packer_finish(&packer);
    sample_destroy(&sample);
    return packed.codec;
}

/* A second, and less than a millionth of one, for a byte. */
static void test_auto_compresses_for_a_slow_sink_alone(void **state)
{
    assert_int_equal(pack(SAMPLE_TEXT, IMAGE_COMPRESS_AUTO, 1), IMAGE_ZSTD);
    assert_int_equal(pack(SAMPLE_TEXT, IMAGE_COMPRESS_AUTO, 1e-13), IMAGE_RAW);
    assert_int_equal(pack(SAMPLE_TEXT, IMAGE_COMPRESS_AUTO, 0), IMAGE_RAW);
    assert_int_equal(pack(SAMPLE_TEXT, IMAGE_COMPRESS_OFF, 1), IMAGE_RAW);
    assert_int_equal(pack(SAMPLE_RANDOM, IMAGE_COMPRESS_ZSTD, 1), IMAGE_RAW);
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
        cmocka_unit_test(test_contents_can_be_written_again),
        cmocka_unit_test(test_contents_written_again_take_their_own_place),
        cmocka_unit_test(test_equal_bytes_are_those_of_the_last_contents),
        cmocka_unit_test(test_shared_chunks_are_not_written_over),
        cmocka_unit_test(test_contents_that_come_to_no_end_do_not_count),
        cmocka_unit_test(test_pipe_and_socket_take_images),
        cmocka_unit_test(test_image_begins_where_the_file_stands),
        cmocka_unit_test(test_chunks_are_compared_before_they_are_equal),
        cmocka_unit_test(test_full_disk_is_said),
        cmocka_unit_test(test_limit_on_files_is_said_and_no_signal_comes),
        cmocka_unit_test(test_reader_that_has_gone_is_said_and_no_signal_comes),
        cmocka_unit_test(test_reader_that_stops_is_not_waited_for_without_end),
        cmocka_unit_test(test_what_failed_fails_again),
        cmocka_unit_test(test_auto_compresses_for_a_slow_sink_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
