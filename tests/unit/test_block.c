/* SPDX-License-Identifier: Apache-2.0 */
/* Memory under buffers: aligned, each block one's own, and freed ones used again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "state/block.h"

static void test_blocks_are_aligned_and_hold_their_size(void **state)
{
    for (size_t size = 0; size < 5000; size += 7) {
        char *block = block_alloc(size);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 128, 0);
        assert_true(malloc_usable_size(block) >= size);
        memset(block, 0x5a, size);
        block_free(block);
    }
    char *large = block_alloc(1 << 20);
    assert_int_equal((uintptr_t)large % 4096, 0);
    block_free(large);
    block_free(NULL);
}

/* The sanitizers' allocators end a program that asks for too much, and the list of freed blocks is
 * not used with the address sanitizer. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define HAS_ALLOCATOR
static void test_too_much_is_not_there(void **state)
{
    assert_null(block_alloc(SIZE_MAX - 1));
}

static void test_a_freed_block_is_the_next_of_its_size(void **state)
{
    void *block = block_alloc(250), *other = block_alloc(250);
    block_free(block);
    void *smaller = block_alloc(200), *same = block_alloc(256);
    assert_ptr_not_equal(smaller, block);
    assert_ptr_equal(same, block);
    block_free(smaller);
    block_free(same);
    block_free(other);
}

/* What a program has freed is not kept without end. */
static void test_little_is_kept(void **state)
{
    enum { COUNT = 4096 };
    static void *blocks[COUNT];
    size_t before = mallinfo2().uordblks;
    for (size_t i = 0; i < COUNT; i++)
        blocks[i] = block_alloc(1024);
    for (size_t i = 0; i < COUNT; i++)
        block_free(blocks[i]);
    assert_true(mallinfo2().uordblks < before + (512 << 10));
}
#endif

enum { THREADS = 4, BLOCKS = 32, ROUNDS = 3000 };

/* No two have the same block at the same time. */
static void *use(void *number)
{
    unsigned char *blocks[BLOCKS], mark = (unsigned char)(uintptr_t)number;
    uintptr_t bad = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < BLOCKS; i++)
            if ((blocks[i] = block_alloc(64 * (i % 4 + 1))))
                memset(blocks[i], mark, 64);
        for (size_t i = 0; i < BLOCKS; i++) {
            bad += !blocks[i] || blocks[i][0] != mark || blocks[i][63] != mark;
            block_free(blocks[i]);
        }
    }
    return (void *)bad;
}

static void test_threads_have_blocks_of_their_own(void **state)
{
    pthread_t threads[THREADS];
    void *bad;
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, (void *)(i + 1)), 0);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &bad), 0);
        assert_ptr_equal(bad, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_aligned_and_hold_their_size),
#ifdef HAS_ALLOCATOR
        cmocka_unit_test(test_too_much_is_not_there),
        cmocka_unit_test(test_a_freed_block_is_the_next_of_its_size),
        cmocka_unit_test(test_little_is_kept),
#endif
        cmocka_unit_test(test_threads_have_blocks_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
