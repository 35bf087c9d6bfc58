/* SPDX-License-Identifier: Apache-2.0 */
/* Images that earlier versions have written stay readable: tests/data. With a folder as argument it
 * writes them there, as this version does: for a new version, never over those of an old one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image_sample.h"

#define COUNT 5

static const struct {
    const char *name;
    enum image_compression compression;
} images[] = {{"raw", IMAGE_COMPRESS_OFF}, {"zstd", IMAGE_COMPRESS_ZSTD}};

static void make_samples(struct sample samples[COUNT])
{
    samples[0] = sample_create(2, 1000, SAMPLE_RANDOM, 1);
    samples[1] = sample_create(3, 1000, SAMPLE_RANDOM, 1);
    samples[2] = sample_create(4, 5 * IMAGE_PAGE + 100, SAMPLE_HALF_ZERO, 2);
    samples[3] = sample_create(5, 6000, SAMPLE_TEXT, 3);
    samples[4] = sample_create(6, 2 * IMAGE_CHUNK + 5, SAMPLE_ZERO, 4);
    memset(samples[4].bytes + IMAGE_CHUNK + 4096, 'x', 5000);
}

static int open_image(const char *folder, size_t i, int flags)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.shcl", folder, images[i].name);
    int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0)
        fail_msg("%s can't be opened", path);
    return fd;
}

static void test_images_of_version_1_0_are_readable(void **state)
{
    struct sample samples[COUNT];
    make_samples(samples);
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) {
        int fd = open_image(IMAGE_DATA_FOLDER "/image-1.0", i, O_RDONLY);
        sample_compare(fd, samples, COUNT);
        close(fd);
    }
    for (size_t i = 0; i < COUNT; i++)
        sample_destroy(&samples[i]);
}

static void write_images(const char *folder)
{
    struct sample samples[COUNT];
    make_samples(samples);
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) {
        int fd = open_image(folder, i, O_RDWR | O_CREAT | O_EXCL);
        sample_image(fd, images[i].compression, samples, COUNT);
        close(fd);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_images_of_version_1_0_are_readable),
    };
    if (argc == 2) {
        write_images(argv[1]);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
