/* SPDX-License-Identifier: Apache-2.0 */
/* Builds beside the program: what they leave to be done at its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/ahead.h"
#include "shim/gate.h"

int __wrap_atexit(void (*function)(void));
bool __wrap_trial_step(struct trial *trial, unsigned thread);
void __wrap_trial_close(struct trial *trial);

static unsigned registered, steps;

int __wrap_atexit(void (*function)(void))
{
    registered += function == ahead_before_exit;
    return 0;
}

bool __wrap_trial_step(struct trial *trial, unsigned thread)
{
    steps++;
    return atomic_fetch_add(&trial->next, 1) < trial->count;
}

void __wrap_trial_close(struct trial *trial)
{
}

static void run(size_t count)
{
    struct trial trial = {.running = true, .count = count};
    struct error err = {0};
    registered = steps = 0;
    assert_int_equal(ahead_begin(&err), 0);
    assert_int_equal(ahead_run(&trial, &err), 0);
    ahead_end();
    assert_true(steps > count);
}

/* `check` may be asked every second, for as long as the program runs. */
static void test_nothing_is_left_where_nothing_is_built(void **state)
{
    struct error err = {0};
    registered = 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ahead_begin(&err), 0);
        ahead_end();
    }
    assert_int_equal(registered, 0);
    run(0);
    assert_int_equal(registered, 0);
}

/* A compiler may have left something there since. */
static void test_each_build_is_waited_for_first(void **state)
{
    for (int i = 0; i < 3; i++) {
        run(1);
        assert_int_equal(registered, 1);
    }
}

static int begin(void **state)
{
    gate_init(NULL);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_left_where_nothing_is_built),
        cmocka_unit_test(test_each_build_is_waited_for_first),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
