/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that can't be written is known, wherever the part is, and none is changed by the look. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>

#include "state/writable.h"

#define MIB ((size_t)1 << 20)
#define PAGE ((size_t)4096)

static const char constant[PAGE] = "in the executable";
static char variable[3] = "ab";

static void test_what_a_store_would_fault_on(void **state)
{
    char *memory = mmap(NULL, 3 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    memset(memory, 7, 3 * MIB);
    assert_true(writable(memory, 3 * MIB));
    for (size_t at = 0; at < 3 * MIB; at++)
        assert_int_equal(memory[at], 7);
    assert_int_equal(mprotect(memory, PAGE, PROT_READ), 0);
    assert_false(writable(memory, 3 * MIB));
    assert_true(writable(memory + PAGE, 2 * MIB));
    assert_false(writable(memory + PAGE - 1, 2));
    assert_int_equal(mprotect(memory + 3 * MIB - PAGE, PAGE, PROT_NONE), 0);
    assert_false(writable(memory + PAGE, 3 * MIB - PAGE));
    assert_true(writable(memory + PAGE, 3 * MIB - 2 * PAGE));
    munmap(memory, 3 * MIB);
    assert_false(writable(memory, PAGE));
    assert_false(writable(constant, sizeof constant));
    assert_true(writable(variable + 1, 1));
    assert_true(writable(NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_store_would_fault_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
