/* SPDX-License-Identifier: Apache-2.0 */
/* Images as tests want them: see image_sample.h. */
#include "image_sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void check(int ok, const char *what, const struct error *err)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %s: %s (%s)\n", what, err->object, err->reason, err->todo);
    abort();
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1du;
}

void sample_fill(uint8_t *bytes, size_t size, enum sample_fill fill, uint64_t seed)
{
    static const char text[] = "the quick brown fox ";
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
    memset(bytes, 0, size);
    for (size_t i = 0; fill != SAMPLE_ZERO && i < size; i += sizeof state) {
        uint64_t word = next_random(&state);
        if (fill == SAMPLE_HALF_ZERO && i / IMAGE_PAGE % 2)
            continue;
        if (fill == SAMPLE_TEXT)
            memcpy(&word, text + word % (sizeof text - sizeof word), sizeof word);
        memcpy(bytes + i, &word, size - i < sizeof word ? size - i : sizeof word);
    }
}

struct sample sample_create(uint64_t serial, size_t size, enum sample_fill fill, uint64_t seed)
{
    struct sample sample = {serial, size, malloc(size + 1)};
    check(!!sample.bytes, "sample", &(struct error){.reason = "no memory"});
    sample_fill(sample.bytes, size, fill, seed);
    return sample;
}

void sample_destroy(struct sample *sample)
{
    free(sample->bytes);
    sample->bytes = NULL;
}

static int write_about(struct image_writer *writer, struct error *err)
{
    Shadowcl__Image__About about = SHADOWCL__IMAGE__ABOUT__INIT;
    about.version = "0.1.0";
    about.pid = 119;
    about.command = "sample-heat --size 256";
    about.host = "tests";
    return image_writer_about(writer, &about.base, err);
}

static int write_context(struct image_writer *writer, struct error *err)
{
    Shadowcl__Image__Context context = SHADOWCL__IMAGE__CONTEXT__INIT;
    Shadowcl__Image__Object object = SHADOWCL__IMAGE__OBJECT__INIT;
    object.serial = 1;
    object.references = 1;
    object.kind_case = SHADOWCL__IMAGE__OBJECT__KIND_CONTEXT;
    object.context = &context;
    return image_writer_object(writer, object.serial, &object.base, err);
}

int sample_begin(struct image_writer *writer, struct error *err)
{
    return write_about(writer, err) < 0 ? -1 : write_context(writer, err);
}

int sample_object(struct image_writer *writer, const struct sample *sample, struct error *err)
{
    Shadowcl__Image__Mem mem = SHADOWCL__IMAGE__MEM__INIT;
    Shadowcl__Image__Object object = SHADOWCL__IMAGE__OBJECT__INIT;
    mem.context = 1;
    mem.size = sample->size;
    object.serial = sample->serial;
    object.references = 1;
    object.kind_case = SHADOWCL__IMAGE__OBJECT__KIND_MEM;
    object.mem = &mem;
    return image_writer_object(writer, object.serial, &object.base, err);
}

static int write_contents(struct image_writer *writer, const struct sample *sample,
                          struct error *err)
{
    if (image_writer_begin(writer, sample->serial, sample->size, err) < 0)
        return -1;
    for (size_t at = 0; at < sample->size; at += IMAGE_CHUNK) {
        size_t left = sample->size - at;
        if (image_writer_chunk(writer, sample->bytes + at, left < IMAGE_CHUNK ? left : IMAGE_CHUNK,
                               err) < 0)
            return -1;
    }
    return image_writer_end(writer, err);
}

static int write_all(struct image_writer *writer, const struct sample *samples, size_t count,
                     struct image_summary *summary, struct error *err)
{
    if (sample_begin(writer, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (sample_object(writer, &samples[i], err) < 0)
            return -1;
    for (size_t i = 0; i < count; i++)
        if (write_contents(writer, &samples[i], err) < 0)
            return -1;
    return image_writer_finish(writer, summary, err);
}

int sample_write(int fd, enum image_compression compression, const struct sample *samples,
                 size_t count, struct image_summary *summary, struct error *err)
{
    struct image_writer *writer;
    if (image_writer_create(&writer, fd, compression, err) < 0)
        return -1;
    int ret = write_all(writer, samples, count, summary, err);
    image_writer_destroy(writer);
    return ret;
}

struct image_summary sample_image(int fd, enum image_compression compression,
                                  const struct sample *samples, size_t count)
{
    struct error err = {0};
    struct image_summary summary;
    check(sample_write(fd, compression, samples, count, &summary, &err) == 0, "write", &err);
    return summary;
}

static int read_contents(struct image_reader *reader, const struct image_contents *contents,
                         void *chunk, struct error *err)
{
    uint64_t hash[2];
    for (size_t i = 0; i < contents->num_chunks; i++)
        if (image_reader_chunk_hash(reader, contents, i, hash, err) < 0 ||
            image_reader_chunk(reader, contents, i, chunk, err) < 0)
            return -1;
    return 0;
}

static int read_all(struct image_reader *reader, void *chunk, struct error *err)
{
    size_t count;
    const struct image_contents *contents = image_reader_all_contents(reader, &count);
    for (size_t i = 0; i < image_reader_num_objects(reader); i++) {
        Shadowcl__Image__Object *object;
        if (image_reader_object(reader, i, &object, err) < 0)
            return -1;
        shadowcl__image__object__free_unpacked(object, NULL);
    }
    for (size_t i = 0; i < count; i++)
        if (read_contents(reader, &contents[i], chunk, err) < 0)
            return -1;
    return 0;
}

int sample_read(int fd, struct error *err)
{
    struct image_reader *reader;
    if (image_reader_open(&reader, fd, err) < 0)
        return -1;
    void *chunk = malloc(IMAGE_CHUNK);
    check(!!chunk, "read", &(struct error){.reason = "no memory"});
    int ret = image_reader_verify(reader, NULL, NULL, err);
    if (ret == 0)
        ret = read_all(reader, chunk, err);
    free(chunk);
    image_reader_close(reader);
    return ret;
}

static void compare_contents(struct image_reader *reader, const struct sample *sample,
                             uint8_t *chunk)
{
    struct error err = {.reason = "not as written"};
    const struct image_contents *contents = image_reader_contents(reader, sample->serial);
    check(contents && contents->size == sample->size, "contents", &err);
    for (size_t i = 0; i < contents->num_chunks; i++) {
        size_t size = image_chunk_size(contents, i);
        memset(chunk, 0xa5, size);
        check(image_reader_chunk(reader, contents, i, chunk, &err) == 0, "chunk", &err);
        check(!memcmp(chunk, sample->bytes + i * IMAGE_CHUNK, size), "chunk", &err);
    }
}

static void compare_buffer(struct image_reader *reader, size_t index, const struct sample *sample)
{
    struct error err = {.reason = "not as written"};
    Shadowcl__Image__Object *object;
    check(image_reader_serial(reader, index) == sample->serial, "serial", &err);
    check(image_reader_object(reader, index, &object, &err) == 0, "object", &err);
    check(object->kind_case == SHADOWCL__IMAGE__OBJECT__KIND_MEM &&
              object->mem->size == sample->size,
          "object", &err);
    shadowcl__image__object__free_unpacked(object, NULL);
}

void sample_compare(int fd, const struct sample *samples, size_t count)
{
    struct error err = {.reason = "not as written"};
    struct image_reader *reader;
    size_t num_contents;
    uint8_t *chunk = malloc(IMAGE_CHUNK);
    check(image_reader_open(&reader, fd, &err) == 0, "open", &err);
    check(image_reader_verify(reader, NULL, NULL, &err) == 0, "verify", &err);
    check(!strcmp(image_reader_about(reader)->command, "sample-heat --size 256"), "about", &err);
    check(image_reader_num_objects(reader) == count + 1, "objects", &err);
    image_reader_all_contents(reader, &num_contents);
    check(num_contents == count, "contents", &err);
    for (size_t i = 0; i < count; i++) {
        compare_buffer(reader, i + 1, &samples[i]);
        compare_contents(reader, &samples[i], chunk);
    }
    image_reader_close(reader);
    free(chunk);
}

int sample_memfd(void)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    check(fd >= 0, "memfd", &(struct error){.reason = "memfd_create failed"});
    return fd;
}
