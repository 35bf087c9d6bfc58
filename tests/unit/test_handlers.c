/* SPDX-License-Identifier: Apache-2.0 */
/* Whose signal handler is there in the end. Functions of the C library stand for handlers in the
 * program's libraries and in drivers: none of them is ever called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/handlers.h"

#include <dlfcn.h>

typedef void handler(int);

static handler *function_of(const char *name)
{
    handler *function = NULL;
    *(void **)&function = dlsym(RTLD_DEFAULT, name);
    assert_non_null(function);
    return function;
}

static void set(handler *function)
{
    const struct sigaction action = {.sa_handler = function};
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
}

static handler *get(void)
{
    struct sigaction action;
    assert_int_equal(sigaction(SIGUSR1, NULL, &action), 0);
    return action.sa_handler;
}

static void of_the_executable(int number)
{
}

static void test_the_drivers_is_put_away(void **state)
{
    handler *program = function_of("srand"), *driver = function_of("exit");
    set(program);
    struct handlers kept = handlers_keep();
    set(driver);
    handlers_restore(&kept);
    assert_ptr_equal(get(), program);
}

static void test_a_new_one_of_the_executable_stays(void **state)
{
    set(function_of("srand"));
    struct handlers kept = handlers_keep();
    set(of_the_executable);
    handlers_restore(&kept);
    assert_ptr_equal(get(), of_the_executable);
}

/* Two builds at once: the second begins when the first has already brought the driver's. */
static void test_one_put_away_is_not_brought_back(void **state)
{
    handler *program = function_of("srand"), *driver = function_of("usleep");
    set(program);
    struct handlers first = handlers_keep();
    set(driver);
    struct handlers second = handlers_keep();
    handlers_restore(&first);
    assert_ptr_equal(get(), program);
    handlers_restore(&second);
    assert_ptr_equal(get(), program);
}

/* Neither after others have been put away since, nor those of an earlier one. */
static void test_none_put_away_is_brought_back(void **state)
{
    const char *const drivers[] = {"sleep", "alarm", "dup", "close", "umask", "isatty"};
    handler *program = function_of("srand");
    struct handlers late[6];
    for (int i = 0; i < 6; i++) {
        set(program);
        struct handlers kept = handlers_keep();
        set(function_of(drivers[i]));
        late[i] = handlers_keep();
        handlers_restore(&kept);
        assert_ptr_equal(get(), program);
    }
    for (int i = 0; i < 6; i++) {
        handlers_restore(&late[i]);
        assert_ptr_equal(get(), program);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_drivers_is_put_away),
        cmocka_unit_test(test_a_new_one_of_the_executable_stays),
        cmocka_unit_test(test_one_put_away_is_not_brought_back),
        cmocka_unit_test(test_none_put_away_is_brought_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
