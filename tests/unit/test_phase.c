/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that a driver's call does not come back to: where it is frozen, and where it must not
 * be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shim/config.h"
#include "shim/gate.h"
#include "shim/phase.h"

enum { RESULT = 42 };

static char a_library, an_object;
#define LIBRARY ((struct library *)&a_library)
#define OBJECT ((const struct object *)&an_object)

static _Atomic unsigned steps;
static atomic_bool over; /* never */

static void pause_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&pause, &pause) != 0)
        ;
}

static int set_up(void **state)
{
    config.call_patience = 1;
    gate_init();
    return 0;
}

static void expect_waited_for(int (*act)(void *data))
{
    struct phase_place hung;
    assert_int_equal(phase_run(act, NULL, &hung), RESULT);
    assert_null(hung.library);
}

static void expect_frozen(int (*act)(void *data))
{
    struct phase_place hung;
    assert_int_equal(phase_run(act, NULL, &hung), -1);
    assert_ptr_equal(hung.library, LIBRARY);
    assert_ptr_equal(hung.object, OBJECT);
}

static int return_at_once(void *unused)
{
    IN_DRIVER(LIBRARY, OBJECT, false);
    return RESULT;
}

static void test_result_is_that_of_the_phase(void **state)
{
    expect_waited_for(return_at_once);
}

static int step_for_ever(void *unused)
{
    IN_DRIVER(LIBRARY, OBJECT, false);
    while (!atomic_load(&over)) {
        pause_ms(5);
        atomic_fetch_add(&steps, 1);
    }
    return RESULT;
}

static void test_frozen_thread_never_goes_on(void **state)
{
    expect_frozen(step_for_ever);
    unsigned before = atomic_load(&steps);
    assert_true(before > 0);
    pause_ms(200);
    assert_int_equal(atomic_load(&steps), before);
}

static int beat_and_return(void *unused)
{
    IN_DRIVER(LIBRARY, OBJECT, false);
    for (int i = 0; i < 25; i++) {
        pause_ms(100);
        phase_beat();
    }
    return RESULT;
}

static void test_signs_of_life_are_seen(void **state)
{
    expect_waited_for(beat_and_return);
}

static int sleep_elsewhere(void *unused)
{
    pause_ms(2500);
    return RESULT;
}

static void test_our_own_code_is_waited_for(void **state)
{
    expect_waited_for(sleep_elsewhere);
}

static int sleep_with_a_lock(void *unused)
{
    IN_DRIVER(LIBRARY, OBJECT, false);
    NOT_FROZEN();
    pause_ms(2500);
    return RESULT;
}

static void test_holder_of_our_lock_is_waited_for(void **state)
{
    expect_waited_for(sleep_with_a_lock);
}

static int build_slowly(void *unused)
{
    IN_DRIVER(LIBRARY, OBJECT, true);
    pause_ms(2500);
    return RESULT;
}

static void test_builds_have_more_time(void **state)
{
    expect_waited_for(build_slowly);
}

static int block_signals(void *unused)
{
    sigset_t all;
    IN_DRIVER(LIBRARY, OBJECT, false);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    pause_ms(2500);
    pthread_sigmask(SIG_UNBLOCK, &all, NULL); /* what was sent to it must not end the program */
    return RESULT;
}

static void test_thread_that_blocks_signals_is_waited_for(void **state)
{
    expect_waited_for(block_signals);
}

static int sleep_in_callback(struct dl_phdr_info *info, size_t size, void *unused)
{
    pause_ms(2500);
    return 1;
}

static int sleep_with_loader_lock(void *unused)
{
    IN_DRIVER(LIBRARY, OBJECT, false);
    dl_iterate_phdr(sleep_in_callback, NULL);
    return RESULT;
}

static void test_holder_of_the_loaders_lock_is_waited_for(void **state)
{
    expect_waited_for(sleep_with_loader_lock);
}

/* (Sanitizers have an allocator of their own.) */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* All in the arena of the thread, which is locked most of the time. */
static int allocate_for_ever(void *unused)
{
    IN_DRIVER(LIBRARY, OBJECT, false);
    while (!atomic_load(&over)) {
        void *volatile memory = malloc(20000);
        free(memory);
    }
    return RESULT;
}

static void *allocate(void *unused)
{
    for (int i = 0; i < 1000; i++) {
        void *volatile memory = malloc((size_t)100 * (size_t)i);
        free(memory);
    }
    return NULL;
}

/* In threads for each arena that there is, and more, and in a child: a fork takes all locks. */
static void test_allocator_goes_on(void **state)
{
    pthread_t threads[64];
    for (int i = 0; i < 3; i++)
        expect_frozen(allocate_for_ever);
    for (int i = 0; i < 64; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate, NULL), 0);
    for (int i = 0; i < 64; i++)
        pthread_join(threads[i], NULL);
    pid_t child = fork();
    if (child == 0) {
        allocate(NULL);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}
#endif

/* One that is gone for good is nobody who is lent to a driver. */
static void test_frozen_thread_is_not_at_the_gate(void **state)
{
    expect_frozen(step_for_ever);
    assert_int_equal(gate_lent_thread(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result_is_that_of_the_phase),
        cmocka_unit_test(test_frozen_thread_never_goes_on),
        cmocka_unit_test(test_signs_of_life_are_seen),
        cmocka_unit_test(test_our_own_code_is_waited_for),
        cmocka_unit_test(test_holder_of_our_lock_is_waited_for),
        cmocka_unit_test(test_builds_have_more_time),
        cmocka_unit_test(test_thread_that_blocks_signals_is_waited_for),
        cmocka_unit_test(test_holder_of_the_loaders_lock_is_waited_for),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(test_allocator_goes_on),
#endif
        cmocka_unit_test(test_frozen_thread_is_not_at_the_gate),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
