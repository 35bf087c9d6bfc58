/* SPDX-License-Identifier: Apache-2.0 */
/* Has any other thread of the program run meanwhile? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "shim/alone.h"
#include "shim/thread.h"

static atomic_bool busy, end;
static _Atomic unsigned turns;

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* Counts while `busy`; asleep till then, without a look at the clock. */
static void *work(void *unused)
{
    static pthread_mutex_t never = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t nothing = PTHREAD_COND_INITIALIZER;
    if (!busy) {
        pthread_mutex_lock(&never);
        pthread_cond_wait(&nothing, &never);
    }
    while (!end)
        atomic_fetch_add(&turns, 1);
    return NULL;
}

static void wait_for_turns(void)
{
    unsigned before = turns;
    while (turns == before)
        pause_ms(1);
}

static void test_threads_that_sleep(void **state)
{
    pthread_t thread;
    busy = false;
    assert_int_equal(pthread_create(&thread, NULL, work, NULL), 0);
    pthread_detach(thread);
    pause_ms(200); /* till it sleeps */
    alone_begin();
    pause_ms(20);
    assert_true(alone_end());
}

static void test_thread_that_runs(void **state)
{
    pthread_t thread;
    busy = true;
    end = false;
    assert_int_equal(pthread_create(&thread, NULL, work, NULL), 0);
    wait_for_turns();
    alone_begin();
    wait_for_turns();
    assert_false(alone_end());
    end = true;
    pthread_join(thread, NULL);
    /* And one that has ended in between. */
    end = false;
    assert_int_equal(pthread_create(&thread, NULL, work, NULL), 0);
    wait_for_turns();
    alone_begin();
    end = true;
    pthread_join(thread, NULL);
    assert_false(alone_end());
}

static void test_threads_of_ours_do_not_count(void **state)
{
    pthread_t thread;
    busy = true;
    end = false;
    assert_true(thread_create(&thread, work, NULL));
    wait_for_turns();
    alone_begin();
    wait_for_turns();
    assert_true(alone_end());
    end = true;
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_that_sleep),
        cmocka_unit_test(test_thread_that_runs),
        cmocka_unit_test(test_threads_of_ours_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
