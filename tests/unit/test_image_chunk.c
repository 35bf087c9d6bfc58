/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of a chunk: which are zero, and that they come together again; hashes of zeros. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "serialize/image_chunk.h"
#include "serialize/image_hash.h"

static void test_hash_of_zeros_is_that_of_their_bytes(void **state)
{
    static const size_t sizes[] = {1, 4095, 4096, 4097, 65536, IMAGE_CHUNK - 1, IMAGE_CHUNK};
    uint8_t *zeros = calloc(1, IMAGE_CHUNK);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint64_t hash[2], known[2];
        image_hash(zeros, sizes[i], hash);
        image_hash_zeros(sizes[i], known);
        assert_memory_equal(hash, known, sizeof hash);
    }
    free(zeros);
}

/* Wherever in it the byte is, and whichever bit. */
static void test_one_bit_makes_a_page_not_zero(void **state)
{
    struct image_pages pages;
    uint8_t *bytes = calloc(1, 2 * IMAGE_PAGE + 77);
    size_t size = 2 * IMAGE_PAGE + 77;
    image_pages_find(&pages, bytes, size);
    assert_int_equal(pages.stored, 0);
    for (size_t at = 0; at < size; at++) {
        bytes[at] = (uint8_t)(1 << at % 8);
        image_pages_find(&pages, bytes, size);
        assert_int_equal(pages.map[0], 1 << at / IMAGE_PAGE);
        assert_int_equal(pages.stored, at < 2 * IMAGE_PAGE ? IMAGE_PAGE : 77);
        bytes[at] = 0;
    }
    free(bytes);
}

static void test_map_behind_the_last_page_is_refused(void **state)
{
    struct image_pages pages;
    uint8_t map[IMAGE_MAP_BYTES] = {0};
    map[0] = 1 << 2;
    assert_int_equal(image_pages_read(&pages, 2 * IMAGE_PAGE + 1, map), 0);
    assert_int_equal(pages.stored, 1);
    assert_int_equal(image_pages_read(&pages, 2 * IMAGE_PAGE, map), -1);
}

/* A byte for each page: zero where the bit of `kind` is. */
static void make(uint8_t *bytes, size_t size, unsigned kind)
{
    memset(bytes, 0, size);
    for (size_t i = 0; i < size; i++)
        if (!(kind >> (i / IMAGE_PAGE % 8) & 1))
            bytes[i] = (uint8_t)(i / IMAGE_PAGE + 1);
}

static void test_pages_come_together_again(void **state)
{
    uint8_t *bytes = malloc(IMAGE_CHUNK), *packed = malloc(IMAGE_CHUNK);
    uint8_t *again = malloc(IMAGE_CHUNK);
    for (unsigned kind = 0; kind < 256; kind++) {
        struct image_pages pages;
        size_t size = IMAGE_CHUNK - kind * 37;
        make(bytes, size, kind);
        image_pages_find(&pages, bytes, size);
        image_pages_pack(&pages, bytes, packed);
        memset(again, 0xa5, size);
        image_pages_spread(&pages, packed, again);
        assert_memory_equal(again, bytes, size);
    }
    free(bytes);
    free(packed);
    free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_of_zeros_is_that_of_their_bytes),
        cmocka_unit_test(test_one_bit_makes_a_page_not_zero),
        cmocka_unit_test(test_map_behind_the_last_page_is_refused),
        cmocka_unit_test(test_pages_come_together_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
