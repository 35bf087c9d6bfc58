/* SPDX-License-Identifier: Apache-2.0 */
/* Makes what the image's fuzzers begin with, in a folder: recipes of images that are right, of
 * objects of every kind with every field, of contents that are stored in every way. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image_recipe.h"
#include "tests/unit/image_sample.h"

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void add_number(struct bytes *bytes, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        bytes_add(bytes, (uint8_t[]){(uint8_t)(number | 0x80)}, 1);
    bytes_add(bytes, (uint8_t[]){(uint8_t)number}, 1);
}

static void add_field(struct bytes *bytes, const ProtobufCFieldDescriptor *field);

static void add_fields(struct bytes *bytes, const ProtobufCMessageDescriptor *descriptor)
{
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        int times = field->label == PROTOBUF_C_LABEL_REPEATED ? 2 : 1;
        while (times--)
            add_field(bytes, field);
    }
}

static void add_bytes(struct bytes *bytes, uint32_t id, const void *value, size_t size)
{
    add_number(bytes, (uint64_t)id << 3 | 2);
    add_number(bytes, size);
    bytes_add(bytes, value, size);
}

/* As on the wire, so that no type needs code of its own. */
static void add_field(struct bytes *bytes, const ProtobufCFieldDescriptor *field)
{
    struct bytes inner = {0};
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        add_fields(&inner, field->descriptor);
        add_bytes(bytes, field->id, inner.all, inner.size);
        bytes_finish(&inner);
        break;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
        add_bytes(bytes, field->id, field->name, strlen(field->name));
        break;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        add_number(bytes, (uint64_t)field->id << 3 | 1);
        bytes_add(bytes, "12345678", 8);
        break;
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        add_number(bytes, (uint64_t)field->id << 3 | 5);
        bytes_add(bytes, "1234", 4);
        break;
    default:
        add_number(bytes, (uint64_t)field->id << 3);
        add_number(bytes, field->type == PROTOBUF_C_TYPE_BOOL ? 1 : field->id);
    }
}

static Shadowcl__Image__Object *make_object(const ProtobufCFieldDescriptor *kind, uint64_t serial)
{
    struct bytes bytes = {0};
    add_number(&bytes, 1 << 3);
    add_number(&bytes, serial);
    add_field(&bytes, kind);
    Shadowcl__Image__Object *object = shadowcl__image__object__unpack(NULL, bytes.size, bytes.all);
    bytes_finish(&bytes);
    if (!object)
        fail(kind->name);
    return object;
}

static void check(int ret, const struct error *err)
{
    if (ret == 0)
        return;
    fprintf(stderr, "image_corpus: %s: %s\n", err->object, err->reason);
    exit(1);
}

/* What is cooked of it must be an image without a fault. */
static void check_recipe(const struct bytes *recipe)
{
    struct bytes image = {0};
    struct error err = {0};
    int fd = sample_memfd();
    recipe_cook(recipe->all, recipe->size, &image);
    if (write(fd, image.all, image.size) != (ssize_t)image.size)
        fail("image");
    check(sample_read(fd, &err), &err);
    bytes_finish(&image);
    close(fd);
}

static void save(const char *folder, const char *name, int fd)
{
    char path[4096];
    struct bytes recipe = {0};
    off_t size = lseek(fd, 0, SEEK_END);
    uint8_t *image = malloc((size_t)size);
    if (!image || pread(fd, image, (size_t)size, 0) != size)
        fail("image");
    recipe_write(image, (size_t)size, &recipe);
    check_recipe(&recipe);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    if (!file || fwrite(recipe.all, 1, recipe.size, file) != recipe.size || fclose(file))
        fail(path);
    bytes_finish(&recipe);
    free(image);
    close(fd);
}

/* One of each kind. */
static int make_objects(void)
{
    int fd = sample_memfd();
    struct image_writer *writer;
    struct error err = {0};
    Shadowcl__Image__About about = SHADOWCL__IMAGE__ABOUT__INIT;
    const ProtobufCMessageDescriptor *all = &shadowcl__image__object__descriptor;
    check(image_writer_create(&writer, fd, IMAGE_COMPRESS_OFF, &err), &err);
    check(image_writer_about(writer, &about.base, &err), &err);
    for (unsigned i = 0; i < all->n_fields; i++) {
        if (all->fields[i].type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        Shadowcl__Image__Object *object = make_object(&all->fields[i], i);
        check(image_writer_object(writer, i, &object->base, &err), &err);
        shadowcl__image__object__free_unpacked(object, NULL);
    }
    check(image_writer_finish(writer, NULL, &err), &err);
    image_writer_destroy(writer);
    return fd;
}

static int make_contents(enum image_compression compression, enum sample_fill fill)
{
    int fd = sample_memfd();
    struct sample samples[] = {sample_create(2, 100, fill, 1), sample_create(3, 100, fill, 1),
                               sample_create(4, IMAGE_PAGE + 50, fill, 2)};
    memset(samples[2].bytes, 0, IMAGE_PAGE);
    sample_image(fd, compression, samples, 3);
    for (int i = 0; i < 3; i++)
        sample_destroy(&samples[i]);
    return fd;
}

/* The only ones that are full. */
static int make_chunks(void)
{
    int fd = sample_memfd();
    struct sample sample = sample_create(2, 2 * IMAGE_CHUNK + 30, SAMPLE_ZERO, 3);
    sample.bytes[IMAGE_CHUNK] = 1;
    sample.bytes[2 * IMAGE_CHUNK] = 1;
    memset(sample.bytes, 'z', IMAGE_CHUNK / 2);
    sample_image(fd, IMAGE_COMPRESS_ZSTD, &sample, 1);
    sample_destroy(&sample);
    return fd;
}

static int make_compressed(void)
{
    int fd = sample_memfd();
    struct sample samples[] = {sample_create(2, 2 * IMAGE_PAGE, SAMPLE_ZERO, 1),
                               sample_create(3, 300, SAMPLE_ZERO, 1)};
    memset(samples[0].bytes + 5000, 'x', 500);
    memset(samples[1].bytes, 'y', 300);
    sample_image(fd, IMAGE_COMPRESS_ZSTD, samples, 2);
    sample_destroy(&samples[0]);
    sample_destroy(&samples[1]);
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: image_corpus FOLDER\n");
        return 2;
    }
    save(argv[1], "objects", make_objects());
    save(argv[1], "raw", make_contents(IMAGE_COMPRESS_OFF, SAMPLE_RANDOM));
    save(argv[1], "zeros", make_contents(IMAGE_COMPRESS_OFF, SAMPLE_ZERO));
    save(argv[1], "text", make_contents(IMAGE_COMPRESS_ZSTD, SAMPLE_TEXT));
    save(argv[1], "compressed", make_compressed());
    save(argv[1], "chunks", make_chunks());
    return 0;
}
