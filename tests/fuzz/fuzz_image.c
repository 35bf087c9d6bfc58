/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody may give as an image: opened, verified, and everything in it read. The input is a
 * recipe (image_recipe.h). An image that is found right must be readable to its last byte. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image_recipe.h"
#include "serialize/image_hash.h"
#include "serialize/image_reader.h"

/* Contents of zeros may have any number of chunks. */
#define MOST_CHUNKS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* Every error says where and why. */
static void check_error(const struct error *err)
{
    check(!strncmp(err->object, "image file, offset ", 19) && err->reason[0]);
}

static int read_objects(struct image_reader *reader)
{
    int ret = 0;
    for (size_t i = 0; i < image_reader_num_objects(reader); i++) {
        Shadowcl__Image__Object *object;
        struct error err = {0};
        if (image_reader_object(reader, i, &object, &err) < 0) {
            check_error(&err);
            ret = -1;
            continue;
        }
        check(object->serial == image_reader_serial(reader, i));
        shadowcl__image__object__free_unpacked(object, NULL);
    }
    return ret;
}

/* To the end of the block, so that the sanitizer sees a byte too many. */
static int read_chunk(struct image_reader *reader, const struct image_contents *contents, size_t i)
{
    struct error err = {0};
    uint64_t told[2], hash[2];
    size_t size = image_chunk_size(contents, i);
    uint8_t *chunk = malloc(size);
    check(chunk && size);
    int ret = image_reader_chunk(reader, contents, i, chunk, &err);
    if (ret < 0) {
        check_error(&err);
    } else {
        image_hash(chunk, size, hash);
        check(image_reader_chunk_hash(reader, contents, i, told, &err) == 0);
        check(!memcmp(told, hash, sizeof hash));
    }
    free(chunk);
    return ret;
}

static int read_contents(struct image_reader *reader)
{
    size_t count;
    const struct image_contents *all = image_reader_all_contents(reader, &count);
    int ret = 0;
    for (size_t i = 0; i < count; i++) {
        check(image_reader_contents(reader, all[i].serial) == &all[i]);
        for (size_t chunk = 0; chunk < all[i].num_chunks && chunk < MOST_CHUNKS; chunk++)
            if (read_chunk(reader, &all[i], chunk) < 0)
                ret = -1;
    }
    return ret;
}

static void read_image(int fd)
{
    struct image_reader *reader;
    struct error err = {0};
    if (image_reader_open(&reader, fd, &err) < 0) {
        check_error(&err);
        return;
    }
    int verified = image_reader_verify(reader, NULL, NULL, &err);
    if (verified < 0)
        check_error(&err);
    int objects = read_objects(reader), contents = read_contents(reader);
    check(verified < 0 || (objects == 0 && contents == 0));
    image_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct bytes image = {0};
    if (fd < 0)
        fd = memfd_create("image", MFD_CLOEXEC);
    recipe_cook(data, size, &image);
    check(pwrite(fd, image.all, image.size, 0) == (ssize_t)image.size);
    check(ftruncate(fd, (off_t)image.size) == 0);
    read_image(fd);
    bytes_finish(&image);
    return 0;
}
