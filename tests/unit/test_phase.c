/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that a driver's call does not come back to: where it is frozen, and where it must not
 * be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shim/config.h"
#include "shim/freeze.h"
#include "shim/gate.h"
#include "shim/loader.h"
#include "shim/phase.h"
#include "shim/residue_take.h"
#include "shim/spare_signal.h"

enum { RESULT = 42 };

static char a_library, an_object;
#define LIBRARY ((struct library *)&a_library)
#define OBJECT ((const struct object *)&an_object)

static _Atomic unsigned steps;
static atomic_bool over; /* never */

static bool another; /* instance there is */

/* In the place of loader.c's: there is no library. */
bool __wrap_library_fresh(struct library *library);
unsigned long __wrap_library_more_patience(const struct library *library, unsigned long patience);

bool __wrap_library_fresh(struct library *library)
{
    assert_ptr_equal(library, LIBRARY);
    return another;
}

unsigned long __wrap_library_more_patience(const struct library *library, unsigned long patience)
{
    assert_ptr_equal(library, LIBRARY);
    return patience;
}

static void pause_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&pause, &pause) != 0)
        ;
}

/* In the place of a driver's call. */
static int call_back_when(_Atomic unsigned *word)
{
    while (!atomic_load(word))
        pause_ms(1);
    return RESULT;
}

static int set_up(void **state)
{
    config.call_patience = 1;
    another = true;
    gate_init(NULL);
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

static int sleep_in_driver(void *unused)
{
    IN_DRIVER(LIBRARY, OBJECT, false);
    pause_ms(3500);
    return RESULT;
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

static int copy_slowly(void *unused)
{
    IN_DRIVER_COPYING(LIBRARY, OBJECT, (uint64_t)64 << 20);
    pause_ms(2500);
    return RESULT;
}

static void test_copies_have_the_time_that_they_take(void **state)
{
    expect_waited_for(copy_slowly);
}

static int call_after_a_lock(void *unused)
{
    IN_DRIVER(LIBRARY, OBJECT, false);
    {
        NOT_FROZEN();
        pause_ms(1800);
    }
    pause_ms(700);
    return RESULT;
}

static void test_time_with_our_lock_is_not_the_drivers(void **state)
{
    expect_waited_for(call_after_a_lock);
}

/* Three times as long as the patience, which is how often it is frozen and let go. */
static void test_without_another_instance_it_is_waited_for(void **state)
{
    another = false;
    expect_waited_for(sleep_in_driver);
    another = true;
}

static pthread_t ran_on;

static int note_thread(void *unused)
{
    IN_DRIVER(LIBRARY, OBJECT, false);
    ran_on = pthread_self();
    assert_null(phase_self);
    return RESULT;
}

static void test_without_an_end_of_patience_there_is_no_thread(void **state)
{
    config.call_patience = 0;
    expect_waited_for(note_thread);
    config.call_patience = 1;
    assert_true(pthread_equal(ran_on, pthread_self()));
}

/* Whoever looked away for a moment: the thread has gone into another call since. */
static void *go_on(void *data)
{
    struct phase *phase = data;
    phase->tid = (pid_t)syscall(SYS_gettid);
    phase_self = phase;
    IN_DRIVER(LIBRARY, OBJECT, false);
    atomic_store(&steps, 1);
    while (atomic_load(&steps) == 1)
        pause_ms(1);
    return NULL;
}

static void test_thread_that_has_come_back_is_not_frozen(void **state)
{
    struct phase phase = {0};
    pthread_t thread;
    atomic_store(&steps, 0);
    assert_int_equal(pthread_create(&thread, NULL, go_on, &phase), 0);
    while (atomic_load(&steps) == 0)
        pause_ms(1);
    atomic_store(&phase.silent, atomic_load(&phase.beats) - 1);
    assert_false(freeze(&phase));
    atomic_store(&phase.silent, atomic_load(&phase.beats));
    assert_true(freeze(&phase));
    thaw(&phase);
    atomic_store(&steps, 2);
    pthread_join(thread, NULL);
}

static void of_ours(int number)
{
}

static void of_the_programs(int number)
{
}

static void test_signal_that_the_program_has_taken_stays_its_own(void **state)
{
    struct sigaction before, now, ours = {.sa_handler = of_ours};
    struct sigaction theirs = {.sa_handler = of_the_programs};
    int number = spare_signal_of((pid_t)syscall(SYS_gettid), &before);
    assert_true(number > 0);
    sigaction(number, &ours, NULL);
    spare_signal_put_back(number, of_ours, &before);
    sigaction(number, NULL, &now);
    assert_ptr_equal(now.sa_handler, SIG_DFL);
    sigaction(number, &theirs, NULL);
    spare_signal_put_back(number, of_ours, &before);
    sigaction(number, NULL, &now);
    assert_ptr_equal(now.sa_handler, of_the_programs);
    sigaction(number, &before, NULL);
}

/* Threads of a driver that hangs may look there yet. */
static void test_memory_is_put_over_a_mapping_that_is_used_yet(void **state)
{
    char *memory = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct node node = {.fd = -1,
                        .start = (uintptr_t)memory,
                        .end = (uintptr_t)memory + 4096,
                        .path = "/dev/dri/card0"};
    int ends[2];
    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(pipe(ends), 0);
    assert_true(node_take(&node, true, NULL));
    assert_int_equal(memory[0], 0);
    memory[0] = 1;
    assert_true(node_take(&node, false, NULL));
    assert_int_equal(write(ends[1], memory, 1), -1);
    assert_int_equal(errno, EFAULT);
    close(ends[0]);
    close(ends[1]);
    munmap(memory, 4096);
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

static _Atomic unsigned let_back; /* the call that hangs */
static _Atomic unsigned after;    /* what has been done after it */
static _Atomic unsigned given_back;

static int hang_in_call(void *unused)
{
    IN_DRIVER(LIBRARY, OBJECT, false);
    CALL(call_back_when(&let_back));
    atomic_fetch_add(&after, 1);
    return RESULT;
}

struct gift {
    struct leftover leftover;
    unsigned place; /* the order in which they are given back */
};

static void give_back(struct leftover *leftover)
{
    ((struct gift *)leftover)->place = atomic_load(&given_back) + 1;
    atomic_fetch_add(&given_back, 1);
}

static struct gift early = {.leftover.give_back = give_back},
                   kept = {.leftover.give_back = give_back},
                   last = {.leftover.give_back = give_back};

static int hang_with_gifts(void *unused)
{
    phase_keeps(&early.leftover);
    phase_keeps(&kept.leftover);
    phase_gave(&early.leftover);
    return hang_in_call(NULL);
}

static struct phase *expect_left(int (*act)(void *data))
{
    struct phase_place hung;
    struct phase *left;
    atomic_store(&let_back, 0);
    atomic_store(&given_back, 0);
    atomic_store(&after, 0);
    assert_int_equal(phase_run_or_leave(act, NULL, &hung, &left), -1);
    assert_non_null(left);
    assert_ptr_equal(hung.library, LIBRARY);
    assert_ptr_equal(hung.object, OBJECT);
    return left;
}

static void expect_not_left(int (*act)(void *data))
{
    struct phase_place hung;
    struct phase *left;
    assert_int_equal(phase_run_or_leave(act, NULL, &hung, &left), RESULT);
    assert_null(left);
    assert_null(hung.library);
}

static void wait_for_gifts(unsigned count)
{
    for (int i = 0; i < 5000 && atomic_load(&given_back) < count; i++)
        pause_ms(1);
    assert_int_equal(atomic_load(&given_back), count);
}

/* Not when the call comes back before others have done with it, nor after. */
static void test_left_thread_goes_no_further(void **state)
{
    struct phase *left = expect_left(hang_with_gifts);
    atomic_store(&let_back, 1);
    pause_ms(100);
    assert_int_equal(atomic_load(&given_back), 0);
    phase_settle(left, &last.leftover);
    wait_for_gifts(2);
    assert_int_equal(atomic_load(&after), 0);
    assert_int_equal(kept.place, 1);
    assert_int_equal(last.place, 2);
    assert_int_equal(early.place, 0);
}

/* It passes a closed gate, and is nobody who is lent to a driver. */
static void test_left_thread_is_not_at_the_gate(void **state)
{
    struct error err = {0};
    struct phase *left = expect_left(hang_in_call);
    assert_int_equal(gate_lent_thread(ANY_LENDING), 0);
    assert_int_equal(gate_close(now_ns() + 1000000000, &err), 0);
    gate_open();
    phase_settle(left, &last.leftover);
    atomic_store(&let_back, 1);
    wait_for_gifts(1);
}

static int say_when_let_back(void)
{
    int result = call_back_when(&let_back);
    atomic_fetch_add(&given_back, 1);
    return result;
}

static int hang_in_constructors(void *unused)
{
    IN_DRIVER_AT(((struct phase_place){LIBRARY, NULL, false, 0, LINKING_IN}));
    CALL(say_when_let_back());
    atomic_fetch_add(&after, 1);
    return RESULT;
}

/* Where all others are frozen: the dynamic loader's lock must come back. */
static void test_thread_in_constructors_is_left(void **state)
{
    struct phase_place hung;
    atomic_store(&let_back, 0);
    atomic_store(&given_back, 0);
    atomic_store(&after, 0);
    assert_int_equal(phase_run(hang_in_constructors, NULL, &hung), -1);
    assert_ptr_equal(hung.library, LIBRARY);
    assert_int_equal(hung.linking, LINKING_IN);
    assert_int_equal(gate_lent_thread(ANY_LENDING), 0);
    atomic_store(&let_back, 1);
    wait_for_gifts(1);
    pause_ms(100);
    assert_int_equal(atomic_load(&after), 0);
}

static void test_only_calls_are_left(void **state)
{
    expect_not_left(sleep_in_driver);
}

static int pause_in_call(void)
{
    pause_ms(300);
    return RESULT;
}

static int call_often(void *unused)
{
    IN_DRIVER(LIBRARY, OBJECT, false);
    for (int i = 0; i < 7; i++)
        CALL(pause_in_call());
    return RESULT;
}

static void test_many_short_calls_are_not_left(void **state)
{
    expect_not_left(call_often);
}

static int destroy_slowly(void *unused)
{
    IN_DRIVER(LIBRARY, OBJECT, false);
    NOT_LEFT();
    CALL((pause_ms(2500), 0));
    return RESULT;
}

static void test_what_must_not_be_done_by_halves_is_waited_for(void **state)
{
    expect_not_left(destroy_slowly);
}

/* The driver calls us, and that calls the driver. */
static int call_inside(void)
{
    CALL(pause_in_call());
    return call_back_when(&let_back);
}

static int hang_inside(void *unused)
{
    IN_DRIVER(LIBRARY, OBJECT, false);
    CALL(call_inside());
    atomic_fetch_add(&after, 1);
    return RESULT;
}

static void test_call_in_a_call_is_part_of_it(void **state)
{
    struct phase *left = expect_left(hang_inside);
    phase_settle(left, &last.leftover);
    atomic_store(&let_back, 1);
    wait_for_gifts(1);
    assert_int_equal(atomic_load(&after), 0);
}

static atomic_bool all_there;

/* (A thread has all signals blocked while it makes another, and what the first one blocks is not
 * let in.) */
static void *wait_for_one_that_hangs(void *hung)
{
    while (!atomic_load(&all_there))
        pause_ms(1);
    return phase_run(step_for_ever, NULL, hung) == -1 ? hung : NULL;
}

/* Each is watched from a thread of its own, and all find it at the same moment. */
static void test_several_are_frozen_at_once(void **state)
{
    enum { COUNT = 3 };
    struct phase_place hung[COUNT];
    pthread_t threads[COUNT];
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_for_one_that_hangs, &hung[i]), 0);
    atomic_store(&all_there, true);
    for (int i = 0; i < COUNT; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, &hung[i]);
        assert_ptr_equal(hung[i].library, LIBRARY);
    }
    unsigned before = atomic_load(&steps);
    pause_ms(200);
    assert_int_equal(atomic_load(&steps), before);
}

/* One that is gone for good is nobody who is lent to a driver. */
static void test_frozen_thread_is_not_at_the_gate(void **state)
{
    expect_frozen(step_for_ever);
    assert_int_equal(gate_lent_thread(ANY_LENDING), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result_is_that_of_the_phase),
        cmocka_unit_test(test_frozen_thread_never_goes_on),
        cmocka_unit_test(test_several_are_frozen_at_once),
        cmocka_unit_test(test_signs_of_life_are_seen),
        cmocka_unit_test(test_our_own_code_is_waited_for),
        cmocka_unit_test(test_holder_of_our_lock_is_waited_for),
        cmocka_unit_test(test_builds_have_more_time),
        cmocka_unit_test(test_copies_have_the_time_that_they_take),
        cmocka_unit_test(test_time_with_our_lock_is_not_the_drivers),
        cmocka_unit_test(test_without_another_instance_it_is_waited_for),
        cmocka_unit_test(test_without_an_end_of_patience_there_is_no_thread),
        cmocka_unit_test(test_thread_that_has_come_back_is_not_frozen),
        cmocka_unit_test(test_signal_that_the_program_has_taken_stays_its_own),
        cmocka_unit_test(test_memory_is_put_over_a_mapping_that_is_used_yet),
        cmocka_unit_test(test_thread_that_blocks_signals_is_waited_for),
        cmocka_unit_test(test_holder_of_the_loaders_lock_is_waited_for),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(test_allocator_goes_on),
#endif
        cmocka_unit_test(test_left_thread_goes_no_further),
        cmocka_unit_test(test_left_thread_is_not_at_the_gate),
        cmocka_unit_test(test_thread_in_constructors_is_left),
        cmocka_unit_test(test_only_calls_are_left),
        cmocka_unit_test(test_many_short_calls_are_not_left),
        cmocka_unit_test(test_what_must_not_be_done_by_halves_is_waited_for),
        cmocka_unit_test(test_call_in_a_call_is_part_of_it),
        cmocka_unit_test(test_frozen_thread_is_not_at_the_gate),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
