/* SPDX-License-Identifier: Apache-2.0 */
/* Who may change the process's state: forks and requests don't keep each other away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "shim/gate.h"
#include "shim/owner.h"

static _Atomic bool stop;
static _Atomic unsigned requests;

static void take_a_while(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* As a storm does: the next begins the moment the one before has ended. */
static void *request_all_the_time(void *unused)
{
    while (!atomic_load(&stop)) {
        if (!owner_take())
            continue;
        atomic_fetch_add(&requests, 1);
        take_a_while();
        owner_give_back();
    }
    return NULL;
}

static void *fork_all_the_time(void *unused)
{
    while (!atomic_load(&stop)) {
        owner_before_fork();
        owner_after_fork();
    }
    return NULL;
}

/* It used to wait until it happened to look between two of them, which could be never. */
static void test_fork_waits_for_one_request_only(void **state)
{
    pthread_t thread;
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&thread, NULL, request_all_the_time, NULL), 0);
    for (int i = 0; i < 20; i++) {
        take_a_while();
        unsigned before = atomic_load(&requests);
        owner_before_fork();
        unsigned after = atomic_load(&requests);
        owner_after_fork();
        /* One may begin before the fork has come to wait. */
        assert_in_range(after - before, 0, 1);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}

static void test_request_comes_between_forks(void **state)
{
    pthread_t threads[2];
    atomic_store(&stop, false);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fork_all_the_time, NULL), 0);
    for (int i = 0; i < 200; i++) {
        assert_true(owner_take());
        owner_give_back();
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static void *wait_for_a_fork(void *unused)
{
    owner_before_fork();
    owner_after_fork();
    return NULL;
}

static void test_second_request_is_told_at_once_while_a_fork_waits(void **state)
{
    pthread_t thread;
    assert_true(owner_take());
    assert_int_equal(pthread_create(&thread, NULL, wait_for_a_fork, NULL), 0);
    while (!owner_is_awaited())
        take_a_while();
    assert_false(owner_take());
    owner_give_back();
    pthread_join(thread, NULL);
}

static atomic_bool forked;

static void *fork_and_say(void *unused)
{
    owner_before_fork();
    owner_after_fork();
    atomic_store(&forked, true);
    return NULL;
}

static void test_fork_of_a_driver_thread_does_not_wait(void **state)
{
    assert_true(owner_take());
    gate_lend();
    owner_before_fork();
    owner_after_fork();
    gate_unlend();
    assert_false(owner_take());
    owner_give_back();
}

/* What is lent goes to forks, and to nobody else. */
static void test_fork_goes_by_a_request_that_lends(void **state)
{
    assert_true(owner_take());
    owner_lend();
    for (int i = 0; i < 3; i++) {
        owner_before_fork();
        owner_after_fork();
        assert_false(owner_take());
    }
    owner_take_back();
    assert_false(owner_take());
    owner_give_back();
    assert_true(owner_take());
    owner_give_back();
}

static void *let_forks_by_for_a_while(void *unused)
{
    for (int i = 0; i < 100; i++) {
        take_a_while();
        owner_let_forks_by();
    }
    return NULL;
}

/* Neither keeps the other away, also where forks follow each other without a gap. */
static void test_forks_are_let_by(void **state)
{
    pthread_t threads[3];
    assert_true(owner_take());
    atomic_store(&forked, false);
    assert_int_equal(pthread_create(&threads[0], NULL, fork_and_say, NULL), 0);
    for (int i = 0; i < 10; i++)
        take_a_while();
    assert_false(atomic_load(&forked));
    while (!owner_is_awaited())
        take_a_while();
    owner_let_forks_by();
    pthread_join(threads[0], NULL);

    atomic_store(&stop, false);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fork_all_the_time, NULL), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, let_forks_by_for_a_while, NULL), 0);
    pthread_join(threads[2], NULL);
    assert_false(owner_take());
    owner_give_back();
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static atomic_bool ended;

static void *end_and_say(void *unused)
{
    owner_before_exit();
    atomic_store(&ended, true);
    return NULL;
}

static void test_end_waits_for_who_lends(void **state)
{
    pthread_t thread;
    assert_true(owner_take());
    assert_false(owner_is_ending());
    assert_int_equal(pthread_create(&thread, NULL, end_and_say, NULL), 0);
    while (!owner_is_awaited())
        take_a_while();
    assert_true(owner_is_ending());
    owner_lend();
    for (int i = 0; i < 10; i++)
        take_a_while();
    owner_let_forks_by(); /* there is none */
    assert_false(atomic_load(&ended));
    owner_take_back();
    owner_give_back();
    pthread_join(thread, NULL);
    assert_true(owner_is_ending());
    assert_false(owner_take());
    owner_forked(); /* in a child nobody is the owner */
    assert_false(owner_is_ending());
}

/* The last of them: the end is for good. */
static void test_fork_at_the_end_waits_for_a_resume_only(void **state)
{
    pthread_t thread;
    owner_before_exit();
    owner_before_exit(); /* another handler, the same end */
    owner_before_fork(); /* by the ending thread */
    owner_after_fork();
    assert_true(owner_is_ending());
    fork_and_say(NULL);
    assert_false(owner_take());

    owner_waits_at_gate(true);
    assert_true(owner_take_from_end());
    atomic_store(&forked, false);
    assert_int_equal(pthread_create(&thread, NULL, fork_and_say, NULL), 0);
    for (int i = 0; i < 20; i++)
        take_a_while();
    assert_false(atomic_load(&forked));
    owner_return_to_end(false);
    pthread_join(thread, NULL);
    assert_true(atomic_load(&forked));
    assert_true(owner_is_ending());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fork_waits_for_one_request_only),
        cmocka_unit_test(test_request_comes_between_forks),
        cmocka_unit_test(test_second_request_is_told_at_once_while_a_fork_waits),
        cmocka_unit_test(test_fork_of_a_driver_thread_does_not_wait),
        cmocka_unit_test(test_fork_goes_by_a_request_that_lends),
        cmocka_unit_test(test_forks_are_let_by),
        cmocka_unit_test(test_end_waits_for_who_lends),
        cmocka_unit_test(test_fork_at_the_end_waits_for_a_resume_only),
    };
    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
