/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of live objects: who is on one, and a fork in the middle of a change. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "state/roster.h"

struct item {
    struct object object;
    struct member member;
};

static struct roster roster = {.offset = offsetof(struct item, member)};
static volatile sig_atomic_t interrupts;

static void count(void *object, void *data)
{
    (*(size_t *)data)++;
}

static size_t listed(void)
{
    size_t number = 0;
    roster_each(&roster, count, &number);
    return number;
}

static void test_those_that_are_alive_are_held(void **state)
{
    struct item items[3] = {0};
    size_t held;
    for (size_t i = 0; i < 3; i++) {
        items[i].object.was = KIND_MEM;
        atomic_store(&items[i].object.holds, i != 1);
        atomic_store(&items[i].object.kind, KIND_MEM);
        roster_add(&roster, &items[i].member);
    }
    assert_int_equal(listed(), 3);
    struct object **list = roster_hold(&roster, &held);
    assert_non_null(list);
    assert_int_equal(held, 2);
    assert_ptr_equal(list[0], &items[2]);
    assert_ptr_equal(list[1], &items[0]);
    assert_int_equal(atomic_load(&items[0].object.holds), 2);
    roster_drop(list, held);
    assert_int_equal(atomic_load(&items[0].object.holds), 1);
    roster_remove(&roster, &items[1].member);
    roster_remove(&roster, &items[2].member);
    assert_int_equal(listed(), 1);
    roster_remove(&roster, &items[0].member);
    assert_int_equal(listed(), 0);
}

static void fork_in_handler(int signal)
{
    roster_before_fork(); // NOLINT(bugprone-signal-handler)
    roster_after_fork();  // NOLINT(bugprone-signal-handler)
    interrupts = interrupts + 1;
}

/* The handler interrupts the very thread that has the lock, and would wait for it for ever. */
static void test_a_signal_handler_may_fork_in_the_middle_of_a_change(void **state)
{
    const struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
    struct item item = {0};
    signal(SIGALRM, fork_in_handler);
    setitimer(ITIMER_REAL, &often, NULL);
    while (interrupts < 2000) {
        roster_add(&roster, &item.member);
        roster_remove(&roster, &item.member);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    assert_int_equal(listed(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_those_that_are_alive_are_held),
        cmocka_unit_test(test_a_signal_handler_may_fork_in_the_middle_of_a_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
