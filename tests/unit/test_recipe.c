/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of binaries, and what is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/recipe.h"

#define SOURCE 10000 /* bytes of each program */

static struct origin *load(unsigned number)
{
    char binary[32];
    size_t size = (size_t)snprintf(binary, sizeof binary, "binary %u", number);
    const unsigned char *bytes = (const unsigned char *)binary;
    struct origin *origin = origin_from_binaries(1, &size, &bytes);
    assert_non_null(origin);
    return origin;
}

/* A program is made, its binary asked for, and all of it released. */
static void make(unsigned number)
{
    char binary[32];
    struct blob blob = {(size_t)snprintf(binary, sizeof binary, "binary %u", number),
                        (unsigned char *)binary};
    static char source[SOURCE];
    struct origin *origin = origin_create(ORIGIN_SOURCE, source, sizeof source);
    assert_non_null(origin);
    memcpy(origin->text, binary, sizeof binary);
    struct recipe *recipe = recipe_create(origin, STEP_BUILD, "-g");
    assert_non_null(recipe);
    recipe_remember(&blob, recipe);
    recipe_remember(&blob, recipe);
    recipe_unref(recipe);
    origin_unref(origin);
}

static int is_known(unsigned number)
{
    struct origin *origin = load(number);
    struct recipe *recipe = origin_known(origin, 0);
    int right = recipe && !strncmp(recipe->origin->text, "binary ", 7) &&
                atoi(recipe->origin->text + 7) == (int)number;
    assert_true(right || !recipe);
    origin_unref(origin);
    return right;
}

static int set_budget(void **state)
{
    recipe_set_budget(10 * (SOURCE + 1000));
    return 0;
}

static void test_the_oldest_are_forgotten(void **state)
{
    for (unsigned i = 0; i < 1000; i++)
        make(i);
    unsigned count = 0;
    for (unsigned i = 0; i < 1000; i++)
        count += (unsigned)is_known(i);
    assert_in_range(count, 9, 11);
    for (unsigned i = 0; i < 8; i++)
        assert_true(is_known(999 - i));
}

static void test_what_is_asked_for_stays(void **state)
{
    make(5000);
    for (unsigned i = 0; i < 100; i++) {
        make(6000 + i);
        assert_true(is_known(5000));
    }
    for (unsigned i = 0; i < 100; i++)
        make(7000 + i);
    assert_false(is_known(5000));
}

static void test_what_a_program_was_loaded_from_is_kept(void **state)
{
    make(8000);
    struct origin *loaded = load(8000);
    for (unsigned i = 0; i < 100; i++)
        make(9000 + i);
    assert_false(is_known(8000));
    struct recipe *recipe = origin_known(loaded, 0);
    assert_non_null(recipe);
    assert_string_equal(recipe->origin->text, "binary 8000");
    origin_unref(loaded);
}

static void test_one_that_is_larger_than_the_budget_is_kept_alone(void **state)
{
    recipe_set_budget(100);
    make(1);
    assert_true(is_known(1));
    make(2);
    assert_true(is_known(2));
    assert_false(is_known(1));
    set_budget(state);
}

/* The program may load it before it has it from a program of its own. */
static void test_a_binary_that_becomes_known_later(void **state)
{
    struct origin *loaded = load(12345);
    assert_null(origin_known(loaded, 0));
    make(12345);
    assert_non_null(origin_known(loaded, 0));
    origin_unref(loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_oldest_are_forgotten),
        cmocka_unit_test(test_what_is_asked_for_stays),
        cmocka_unit_test(test_what_a_program_was_loaded_from_is_kept),
        cmocka_unit_test(test_one_that_is_larger_than_the_budget_is_kept_alone),
        cmocka_unit_test(test_a_binary_that_becomes_known_later),
    };
    return cmocka_run_group_tests(tests, set_budget, NULL);
}
