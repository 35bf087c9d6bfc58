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

#include "state/program.h"

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

static struct recipe *build_of(const char *source, const char *options)
{
    struct origin *origin = origin_create(ORIGIN_SOURCE, source, strlen(source));
    assert_non_null(origin);
    struct recipe *recipe = recipe_create(origin, STEP_BUILD, options);
    assert_non_null(recipe);
    origin_unref(origin);
    return recipe;
}

/* A program loaded from those binaries, as its recipe tells it. */
static struct recipe *loaded_from(const char *first, const char *second)
{
    const size_t sizes[] = {strlen(first), second ? strlen(second) : 0};
    const unsigned char *binaries[] = {(const unsigned char *)first, (const unsigned char *)second};
    struct origin *origin = origin_from_binaries(second ? 2 : 1, sizes, binaries);
    assert_non_null(origin);
    struct recipe *recipe = recipe_create(origin, STEP_BUILD, NULL);
    assert_non_null(recipe);
    origin_unref(origin);
    return recipe;
}

static void remember(const char *binary, struct recipe *recipe)
{
    recipe_remember(&(struct blob){strlen(binary), (unsigned char *)binary}, recipe);
    recipe_unref(recipe);
}

static bool is_portable(struct recipe *recipe)
{
    bool portable = recipe_portable(recipe);
    recipe_unref(recipe);
    return portable;
}

/* One program is made for all devices: binaries that came from two can't be followed. */
static void test_binaries_of_one_program_are_portable(void **state)
{
    remember("for one", build_of("source", "-DONE"));
    remember("for two", build_of("source", "-DTWO"));
    remember("for one, again", build_of("source", "-DONE"));
    assert_true(is_portable(loaded_from("for one", "for one, again")));
    assert_false(is_portable(loaded_from("for one", "for two")));
    assert_false(is_portable(loaded_from("for one", "unknown")));
    assert_true(is_portable(loaded_from("for two", NULL)));
}

static struct recipe *link_of(struct recipe *input)
{
    struct origin *origin = origin_create(ORIGIN_LINK, NULL, 0);
    assert_non_null(origin);
    struct recipe *recipe = recipe_create(origin, STEP_LINK, NULL);
    assert_non_null(recipe);
    origin_unref(origin);
    assert_true(recipe_set_inputs(recipe, 1));
    recipe->inputs[0] = input;
    return recipe;
}

/* What a known binary came from may itself not be known, or be that binary. */
static void test_binaries_of_links(void **state)
{
    remember("a part", build_of("part", NULL));
    remember("all of it", link_of(loaded_from("a part", NULL)));
    assert_true(is_portable(loaded_from("all of it", NULL)));
    remember("of what?", link_of(loaded_from("who knows", NULL)));
    assert_false(is_portable(loaded_from("of what?", NULL)));
    struct recipe *itself = loaded_from("itself", NULL);
    remember("itself", link_of(itself));
    assert_false(is_portable(loaded_from("itself", NULL)));
    origin_set_known(itself->origin, 0, NULL); /* or they would hold each other for ever */
}

/* A driver may give other bytes for what was loaded. */
static void test_binary_of_a_known_binary(void **state)
{
    remember("first", build_of("source of both", NULL));
    remember("second", loaded_from("first", NULL));
    assert_true(is_portable(loaded_from("second", NULL)));
    remember("third", loaded_from("a stranger", NULL));
    assert_false(is_portable(loaded_from("third", NULL)));
}

/* Binaries that links were made from count. */
static void test_binaries_are_in_the_budget(void **state)
{
    char part[SOURCE];
    memset(part, 'b', sizeof part);
    part[sizeof part - 1] = 0;
    for (int c = 'a'; c <= 'z'; c++) {
        char name[] = {'l', 'i', 'n', 'k', ' ', (char)c, 0};
        part[0] = (char)c;
        remember(part, build_of("a small part", NULL));
        remember(name, link_of(loaded_from(part, NULL)));
    }
    assert_true(is_portable(loaded_from("link z", NULL)));
    assert_false(is_portable(loaded_from("link a", NULL)));
}

/* A program that sets a constant before each of its builds does not keep all of them in each. */
static void test_a_constant_set_again_counts_once(void **state)
{
    unsigned char values[3] = {1, 2, 3};
    struct program_constant list[3] = {
        {&list[1], {7, 1, &values[2]}}, {&list[2], {8, 1, &values[1]}}, {NULL, {7, 1, &values[0]}}};
    struct origin *origin = origin_create(ORIGIN_IL, "il", 2);
    assert_non_null(origin);
    struct program program = {.origin = origin, .constants = &list[0]};
    struct recipe *recipe = program_recipe(&program, STEP_BUILD, NULL);
    assert_non_null(recipe);
    assert_int_equal(recipe->num_constants, 2);
    assert_int_equal(recipe->constants[0].id, 8);
    assert_int_equal(recipe->constants[0].value[0], 2);
    assert_int_equal(recipe->constants[1].id, 7);
    assert_int_equal(recipe->constants[1].value[0], 3);
    recipe_unref(recipe);
    origin_unref(origin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_oldest_are_forgotten),
        cmocka_unit_test(test_what_is_asked_for_stays),
        cmocka_unit_test(test_what_a_program_was_loaded_from_is_kept),
        cmocka_unit_test(test_one_that_is_larger_than_the_budget_is_kept_alone),
        cmocka_unit_test(test_a_binary_that_becomes_known_later),
        cmocka_unit_test(test_binaries_of_one_program_are_portable),
        cmocka_unit_test(test_binaries_of_links),
        cmocka_unit_test(test_binary_of_a_known_binary),
        cmocka_unit_test(test_binaries_are_in_the_budget),
        cmocka_unit_test(test_a_constant_set_again_counts_once),
    };
    return cmocka_run_group_tests(tests, set_budget, NULL);
}
