/* SPDX-License-Identifier: Apache-2.0 */
/* Staging memory: what is given back of it while some is used on, and what is reserved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "state/mem.h"
#include "state/staging.h"

#define SIZE ((size_t)2 << 20)

static bool is_mapped(void *memory)
{
    unsigned char pages[2];
    void *page = (void *)((uintptr_t)memory & ~(uintptr_t)4095);
    return mincore(page, 4096, pages) == 0 || errno != ENOMEM;
}

static unsigned char *take(size_t size)
{
    struct error err = {0};
    assert_int_equal(staging_reserve(size, NULL, &err), 0);
    unsigned char *memory = staging_take_reserved(size);
    assert_non_null(memory);
    memset(memory, 0x5a, size);
    return memory;
}

static void test_only_what_nobody_uses_is_given_back(void **state)
{
    unsigned char *first = take(SIZE), *second = take(SIZE), *third = take(SIZE);
    assert_int_equal(staging_used(), 3 * SIZE);
    staging_mark(second + 64);
    staging_trim();
    assert_false(is_mapped(first));
    assert_true(is_mapped(second));
    assert_false(is_mapped(third));
    assert_int_equal(staging_used(), SIZE);
    for (size_t i = 0; i < SIZE; i++)
        assert_int_equal(second[i], 0x5a);
    staging_trim(); /* a mark holds once */
    assert_false(is_mapped(second));
    assert_int_equal(staging_used(), 0);
    staging_drop();
}

static void test_what_copies_may_come_to_stays(void **state)
{
    unsigned char *memory = take(SIZE);
    staging_abandon();
    staging_trim();
    assert_true(is_mapped(memory));
    staging_drop();
    assert_true(is_mapped(memory));
}

/* Where the contents can't go to the program's own memory there has to be other for them. */
static void test_memory_that_can_not_be_written_is_reserved_for(void **state)
{
    char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    struct context context = {.shared = false};
    struct mem mem = {.context = &context,
                      .type = CL_MEM_OBJECT_BUFFER,
                      .flags = CL_MEM_USE_HOST_PTR,
                      .size = SIZE,
                      .host_ptr = memory};
    atomic_store(&mem.object.kind, KIND_MEM);
    assert_int_equal(mem_staging_size(&mem), 0);
    assert_int_equal(mprotect(memory, SIZE, PROT_READ), 0);
    assert_int_equal(mem_staging_size(&mem), SIZE);
    context.shared = true; /* the driver works on it as it is */
    assert_int_equal(mem_staging_size(&mem), 0);
    munmap(memory, SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_nobody_uses_is_given_back),
        cmocka_unit_test(test_what_copies_may_come_to_stays),
        cmocka_unit_test(test_memory_that_can_not_be_written_is_reserved_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
