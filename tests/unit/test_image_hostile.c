/* SPDX-License-Identifier: Apache-2.0 */
/* Images whose checksums are right and which lie all the same: made from recipes (tests/fuzz). Each
 * is refused, with the offset and the reason; what a newer minor version may have is passed over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "image_sample.h"
#include "tests/fuzz/image_recipe.h"

static void add(struct bytes *recipe, int type, int how, const void *payload, size_t size)
{
    uint8_t head[] = {(uint8_t)type, (uint8_t)how, (uint8_t)size, (uint8_t)(size >> 8)};
    bytes_add(recipe, head, sizeof head);
    bytes_add(recipe, payload, size);
}

static void add_message(struct bytes *recipe, int type, int how, const ProtobufCMessage *message)
{
    uint8_t payload[4096];
    size_t size = protobuf_c_message_pack(message, payload);
    assert_in_range(size, 0, sizeof payload);
    add(recipe, type, how, payload, size);
}

/* Records 1 and 2. */
static void add_start(struct bytes *recipe, enum recipe_header header)
{
    Shadowcl__Image__About about = SHADOWCL__IMAGE__ABOUT__INIT;
    Shadowcl__Image__Object object = SHADOWCL__IMAGE__OBJECT__INIT;
    object.serial = 2;
    bytes_add(recipe, (uint8_t[]){(uint8_t)header}, 1);
    add_message(recipe, IMAGE_ABOUT, 0, &about.base);
    add_message(recipe, IMAGE_OBJECT, 0, &object.base);
}

static void add_data(struct bytes *recipe, struct image_data data, const void *bytes, size_t size)
{
    uint8_t payload[8192];
    memcpy(payload, &data, sizeof data);
    memcpy(payload + sizeof data, bytes, size);
    add(recipe, IMAGE_DATA, 0, payload, sizeof data + size);
}

static void add_contents(struct bytes *recipe, int how, uint64_t size, uint64_t *data, size_t count)
{
    Shadowcl__Image__Contents contents = SHADOWCL__IMAGE__CONTENTS__INIT;
    contents.object = 2;
    contents.size = size;
    contents.data = data;
    contents.n_data = count;
    add_message(recipe, IMAGE_CONTENTS, how, &contents.base);
}

/* Index and end of an image with one object, whose contents are in that record (0: has none). */
static void add_finish(struct bytes *recipe, uint64_t contents, uint8_t index_record)
{
    Shadowcl__Image__IndexEntry entries[2] = {SHADOWCL__IMAGE__INDEX_ENTRY__INIT,
                                              SHADOWCL__IMAGE__INDEX_ENTRY__INIT};
    Shadowcl__Image__IndexEntry *object = &entries[0], *other = &entries[1];
    Shadowcl__Image__Index index = SHADOWCL__IMAGE__INDEX__INIT;
    object->serial = 2;
    object->offset = 2;
    other->serial = 2;
    other->offset = contents;
    index.about = 1;
    index.objects = &object;
    index.n_objects = 1;
    index.contents = &other;
    index.n_contents = !!contents;
    add_message(recipe, IMAGE_INDEX, 0, &index.base);
    add(recipe, IMAGE_END, 0, (uint8_t[]){index_record, 0}, 2);
}

/* What reading all of it comes to. */
static int cook_and_read(struct bytes *recipe, struct error *err)
{
    struct bytes image = {0};
    int fd = sample_memfd();
    recipe_cook(recipe->all, recipe->size, &image);
    assert_int_equal(write(fd, image.all, image.size), image.size);
    int ret = sample_read(fd, err);
    bytes_finish(&image);
    bytes_finish(recipe);
    close(fd);
    return ret;
}

static void expect_right(struct bytes *recipe)
{
    struct error err = {0};
    if (cook_and_read(recipe, &err) < 0)
        fail_msg("%s: %s", err.object, err.reason);
}

static void expect_refused(struct bytes *recipe, const char *reason)
{
    struct error err = {0};
    assert_int_equal(cook_and_read(recipe, &err), -1);
    if (!strstr(err.reason, reason) || strncmp(err.object, "image file, offset ", 19))
        fail_msg("`%s: %s` does not say `%s`", err.object, err.reason, reason);
}

/* One object with contents of so many bytes, which refer to these records. */
static void refuse_contents(int how, uint64_t size, uint64_t *data, size_t count,
                            const char *reason)
{
    struct bytes recipe = {0};
    add_start(&recipe, RECIPE_HEADER_RIGHT);
    add_data(&recipe, (struct image_data){.size = 5}, "hello", 5);
    add_contents(&recipe, how, size, data, count);
    add_finish(&recipe, 4, 5);
    expect_refused(&recipe, reason);
}

static void test_image_without_a_lie_is_right(void **state)
{
    struct bytes recipe = {0};
    add_start(&recipe, RECIPE_HEADER_RIGHT);
    add_data(&recipe, (struct image_data){.size = 5}, "hello", 5);
    add_contents(&recipe, 0, 5, (uint64_t[]){3}, 1);
    add_finish(&recipe, 4, 5);
    expect_right(&recipe);
}

static void test_newer_major_is_refused_by_name(void **state)
{
    struct bytes recipe = {0};
    add_start(&recipe, RECIPE_HEADER_NEWER_MAJOR);
    add_finish(&recipe, 0, 3);
    expect_refused(&recipe, "made by a newer shadowcl (format 2.0), this one reads up to 1");
}

static void test_newer_minor_is_passed_over(void **state)
{
    static const enum recipe_header headers[] = {RECIPE_HEADER_NEWER_MINOR, RECIPE_HEADER_LONGER};
    for (size_t i = 0; i < 2; i++) {
        struct bytes recipe = {0};
        add_start(&recipe, headers[i]);
        add(&recipe, 9, 0, "a record that is not known", 26);
        add_finish(&recipe, 0, 4);
        expect_right(&recipe);
    }
}

static void test_unknown_fields_are_kept(void **state)
{
    static const uint8_t field[] = {0xc2, 0x3e, 3, 'n', 'e', 'w'}; /* 1000: bytes */
    struct bytes recipe = {0}, image = {0};
    struct image_reader *reader;
    struct error err = {0};
    int fd = sample_memfd();
    bytes_add(&recipe, "", 1);
    add(&recipe, IMAGE_ABOUT, 0, field, sizeof field);
    add(&recipe, IMAGE_OBJECT, 0, "\x08\x02", 2);
    add_finish(&recipe, 0, 3);
    recipe_cook(recipe.all, recipe.size, &image);
    assert_int_equal(write(fd, image.all, image.size), image.size);
    assert_int_equal(image_reader_open(&reader, fd, &err), 0);
    assert_int_equal(image_reader_about(reader)->base.n_unknown_fields, 1);
    image_reader_close(reader);
    bytes_finish(&recipe);
    bytes_finish(&image);
    close(fd);
}

static void test_references_to_other_records_are_refused(void **state)
{
    struct bytes recipe = {0};
    refuse_contents(0, 5, (uint64_t[]){2}, 1, "where no such data are");
    refuse_contents(0, 5, (uint64_t[]){1}, 1, "where no such data are");
    refuse_contents(RECIPE_AS_IT_IS, 5, (uint64_t[]){65}, 1, "where no such data are");
    /* Before the header's end, itself, and behind itself. */
    refuse_contents(0, 5, (uint64_t[]){63}, 1, "where no data can be");
    refuse_contents(RECIPE_AS_IT_IS, 5, (uint64_t[]){UINT64_MAX}, 1, "where no data can be");
    refuse_contents(RECIPE_AS_IT_IS, 5, (uint64_t[]){UINT64_MAX / 2}, 1, "where no data can be");
    /* The index as the contents, itself as an object. */
    add_start(&recipe, RECIPE_HEADER_RIGHT);
    add_finish(&recipe, 1, 3);
    expect_refused(&recipe, "the Contents should be here");
    add_start(&recipe, RECIPE_HEADER_RIGHT);
    add_finish(&recipe, 0, 2);
    expect_refused(&recipe, "the Index should be here");
}

/* Found by AFL++: an image that has contents and not one data record. */
static void test_contents_without_any_data_are_refused(void **state)
{
    struct bytes recipe = {0};
    add_start(&recipe, RECIPE_HEADER_RIGHT);
    add_contents(&recipe, 0, 5, (uint64_t[]){2}, 1);
    add_finish(&recipe, 3, 4);
    expect_refused(&recipe, "where no such data are");
}

static void test_sizes_that_do_not_fit_are_refused(void **state)
{
    refuse_contents(0, 6, (uint64_t[]){3}, 1, "where no such data are");
    refuse_contents(0, 5, (uint64_t[]){3, 3}, 2, "contents of 5 bytes with 2 chunks");
    refuse_contents(0, 0, (uint64_t[]){3}, 1, "contents of 0 bytes with 1 chunks");
    refuse_contents(0, UINT64_MAX, (uint64_t[]){3}, 1, "contents of 18446744073709551615 bytes");
    refuse_contents(RECIPE_KEEP_HASH, 5, (uint64_t[]){3}, 1, "not what their digest says");
}

static void refuse_data(struct image_data data, const void *bytes, size_t size, const char *reason)
{
    struct bytes recipe = {0};
    add_start(&recipe, RECIPE_HEADER_RIGHT);
    add_data(&recipe, data, bytes, size);
    add_finish(&recipe, 0, 4);
    expect_refused(&recipe, reason);
}

static void test_chunks_that_lie_are_refused(void **state)
{
    struct image_data five = {.size = 5};
    refuse_data((struct image_data){.size = 5, .codec = 2}, "hello", 5, "way that is not known");
    refuse_data((struct image_data){.size = 5, .paged = 2}, "\1hello", 6, "way that is not known");
    refuse_data((struct image_data){.size = 5, .paged = 1}, "\3hello", 6, "more pages than");
    refuse_data(five, "hello!", 6, "6 bytes are stored of pages that have 5");
    refuse_data(five, "hell", 4, "4 bytes are stored of pages that have 5");
    refuse_data((struct image_data){.size = 0}, "", 0, "checksum of the chunk's head");
    refuse_data((struct image_data){.size = IMAGE_CHUNK + 1}, "hello", 5, "checksum of the chunk");
    refuse_data((struct image_data){.size = 5, .codec = IMAGE_ZSTD}, "hell", 4, "zstd: ");
}

/* A hundred bytes that become a mebibyte, where there is room for 4096. */
static void test_bombs_are_refused(void **state)
{
    static uint8_t large[IMAGE_CHUNK];
    uint8_t small[4096];
    size_t size = ZSTD_compress(small, sizeof small, large, sizeof large, 1);
    assert_false(ZSTD_isError(size));
    refuse_data((struct image_data){.size = 4096, .codec = IMAGE_ZSTD}, small, size, "zstd: ");
    size = ZSTD_compress(small, sizeof small, large, 100, 1);
    refuse_data((struct image_data){.size = 4096, .codec = IMAGE_ZSTD}, small, size,
                "100 bytes were compressed of pages that have 4096");
}

/* Empty commands: two bytes of the file each, and some hundred in memory. */
static void test_messages_of_nothing_but_messages_are_refused(void **state)
{
    enum { COUNT = 500000 };
    Shadowcl__Image__About about = SHADOWCL__IMAGE__ABOUT__INIT;
    Shadowcl__Image__Recorded nothing = SHADOWCL__IMAGE__RECORDED__INIT;
    Shadowcl__Image__CommandBuffer commands = SHADOWCL__IMAGE__COMMAND_BUFFER__INIT;
    Shadowcl__Image__Object object = SHADOWCL__IMAGE__OBJECT__INIT;
    struct image_writer *writer;
    struct error err = {0};
    int fd = sample_memfd();
    commands.commands = malloc(COUNT * sizeof *commands.commands);
    commands.n_commands = COUNT;
    for (size_t i = 0; i < COUNT; i++)
        commands.commands[i] = &nothing;
    object.serial = 2;
    object.kind_case = SHADOWCL__IMAGE__OBJECT__KIND_COMMAND_BUFFER;
    object.command_buffer = &commands;
    assert_int_equal(image_writer_create(&writer, fd, IMAGE_COMPRESS_OFF, &err), 0);
    assert_int_equal(image_writer_about(writer, &about.base, &err), 0);
    assert_int_equal(image_writer_object(writer, 2, &object.base, &err), 0);
    assert_int_equal(image_writer_finish(writer, NULL, &err), 0);
    assert_int_equal(sample_read(fd, &err), -1);
    assert_string_equal(err.reason, "the Object would take more memory than it should");
    image_writer_destroy(writer);
    free(commands.commands);
    close(fd);
}

static void test_wrong_heads_are_refused(void **state)
{
    static const struct {
        int how;
        const char *reason;
    } heads[] = {{RECIPE_CHECKSUM, "the record's checksum is wrong"},
                 {RECIPE_OWN, "the checksum of the record's head is wrong"},
                 {RECIPE_MARK, "no record begins here"},
                 {RECIPE_LONGER, "the record's checksum is wrong"},
                 {RECIPE_SHORTER, "the record's checksum is wrong"},
                 {RECIPE_HUGE, "goes beyond the end of the file"}};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        struct bytes recipe = {0};
        add_start(&recipe, RECIPE_HEADER_RIGHT);
        add(&recipe, 9, heads[i].how, "a record", 8);
        add_finish(&recipe, 0, 4);
        expect_refused(&recipe, heads[i].reason);
    }
}

static void test_wrong_headers_and_ends_are_refused(void **state)
{
    struct bytes recipe = {0};
    add_start(&recipe, RECIPE_HEADER_CHUNK);
    add_finish(&recipe, 0, 3);
    expect_refused(&recipe, "its chunks have 1048577 bytes");
    add_start(&recipe, RECIPE_HEADER_CHECKSUM);
    add_finish(&recipe, 0, 3);
    expect_refused(&recipe, "the header's checksum is wrong");
    add_start(&recipe, RECIPE_HEADER_RIGHT);
    add_finish(&recipe, 0, 3);
    recipe.all[recipe.size - 1] = 1;
    expect_refused(&recipe, "3 records, and there should be 4");
    add_start(&recipe, RECIPE_HEADER_RIGHT);
    add(&recipe, IMAGE_OBJECT, 0, "\x08\x03", 2);
    add_finish(&recipe, 0, 4);
    expect_refused(&recipe, "a record (2) that is not in the index");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_without_a_lie_is_right),
        cmocka_unit_test(test_newer_major_is_refused_by_name),
        cmocka_unit_test(test_newer_minor_is_passed_over),
        cmocka_unit_test(test_unknown_fields_are_kept),
        cmocka_unit_test(test_references_to_other_records_are_refused),
        cmocka_unit_test(test_contents_without_any_data_are_refused),
        cmocka_unit_test(test_sizes_that_do_not_fit_are_refused),
        cmocka_unit_test(test_chunks_that_lie_are_refused),
        cmocka_unit_test(test_bombs_are_refused),
        cmocka_unit_test(test_messages_of_nothing_but_messages_are_refused),
        cmocka_unit_test(test_wrong_heads_are_refused),
        cmocka_unit_test(test_wrong_headers_and_ends_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
