/* SPDX-License-Identifier: Apache-2.0 */
/* What still runs of released queues is never taken for ended while somebody else looks, or while
 * it moves from a context that goes to those that have none; and is not given back while a thread
 * is in a call of the driver's with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "shim/config.h"
#include "shim/gate.h"
#include "shim/phase.h"
#include "state/context.h"
#include "state/straggler.h"

static _Atomic cl_int status = CL_RUNNING; /* of every event */
static _Atomic int num_events;
enum { NOWHERE, IN_INFO, IN_RELEASE };
static atomic_bool stop, inside, settled;
static _Atomic int hangs; /* where */
static struct context context;

/* In the place of loader.c's: there is no library. */
unsigned long __wrap_library_more_patience(const struct library *library, unsigned long patience);

unsigned long __wrap_library_more_patience(const struct library *library, unsigned long patience)
{
    return patience;
}

static cl_int CL_API_CALL enqueue_marker(cl_command_queue queue, cl_uint num_waits,
                                         const cl_event *waits, cl_event *event)
{
    *event = (cl_event)&num_events;
    atomic_fetch_add(&num_events, 1);
    return CL_SUCCESS;
}

/* Once, and only a thread that may be left. */
static void hang(int where)
{
    if (!phase_self || atomic_load(&hangs) != where)
        return;
    atomic_store(&hangs, NOWHERE);
    atomic_store(&inside, true);
    while (atomic_load(&inside))
        sched_yield();
}

static cl_int CL_API_CALL get_event_info(cl_event event, cl_event_info param, size_t size,
                                         void *value, size_t *size_ret)
{
    cl_int answer = atomic_load(&status);
    hang(IN_INFO);
    *(cl_int *)value = answer;
    return CL_SUCCESS;
}

static cl_int CL_API_CALL release_event(cl_event event)
{
    hang(IN_RELEASE);
    atomic_fetch_sub(&num_events, 1);
    return CL_SUCCESS;
}

static cl_int CL_API_CALL succeed(cl_command_queue queue)
{
    return CL_SUCCESS;
}

static char a_library;
static const struct driver driver = {.library = (struct library *)&a_library,
                                     .clEnqueueMarkerWithWaitList = enqueue_marker,
                                     .clGetEventInfo = get_event_info,
                                     .clReleaseEvent = release_event,
                                     .clFlush = succeed,
                                     .clFinish = succeed};
static struct device device;
static struct queue queue = {.object = {.driver = &driver}, .context = &context, .device = &device};

static void *look_at_the_context(void *unused)
{
    while (!atomic_load(&stop))
        straggler_ended(&context);
    return NULL;
}

static void *look_at_orphans(void *unused)
{
    while (!atomic_load(&stop))
        straggler_orphans_ended();
    return NULL;
}

static pthread_t start(void *(*look)(void *))
{
    pthread_t thread;
    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&thread, NULL, look, NULL), 0);
    return thread;
}

static void end(pthread_t thread)
{
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
}

static void test_what_runs_is_never_taken_for_ended(void **state)
{
    straggler_add(&queue, queue_real(&queue));
    straggler_add(&queue, queue_real(&queue));
    pthread_t thread = start(look_at_the_context);
    for (int i = 0; i < 200000; i++)
        assert_false(straggler_ended(&context));
    end(thread);
    thread = start(look_at_orphans);
    straggler_finish(&context);
    for (int i = 0; i < 200000; i++)
        assert_false(straggler_orphans_ended());
    end(thread);
    assert_int_equal(num_events, 2);
    status = CL_COMPLETE;
    assert_true(straggler_orphans_ended());
    assert_true(straggler_ended(&context));
    assert_int_equal(num_events, 0);
}

static int look_once(void *unused)
{
    straggler_ended(&context);
    return 0;
}

static void note_settled(struct leftover *leftover)
{
    atomic_store(&settled, true);
}

static struct leftover last = {.give_back = note_settled};

static void leave_one_that_looks(int where)
{
    struct phase_place hung;
    struct phase *left;
    atomic_store(&hangs, where);
    atomic_store(&settled, false);
    assert_int_equal(phase_run_or_leave(look_once, NULL, &hung, &left), -1);
    assert_non_null(left);
    assert_true(inside);
    straggler_put_back();
    phase_settle(left, &last);
}

static void let_come_back(void)
{
    atomic_store(&inside, false);
    while (!atomic_load(&settled))
        sched_yield();
}

/* The driver may be looking at the event in that very call. */
static void test_stays_until_a_call_with_it_has_come_back(void **state)
{
    status = CL_RUNNING;
    straggler_add(&queue, queue_real(&queue));
    straggler_add(&queue, queue_real(&queue));
    leave_one_that_looks(IN_INFO);
    status = CL_COMPLETE;
    assert_false(straggler_ended(&context));
    assert_int_equal(num_events, 1);
    straggler_finish(&context);
    assert_false(straggler_orphans_ended());
    assert_int_equal(num_events, 1);
    let_come_back();
    assert_true(straggler_orphans_ended());
    assert_int_equal(num_events, 0);
}

/* What it holds goes as well. */
static void test_release_that_comes_back_late_is_finished(void **state)
{
    static struct device part;
    part.parent = &device;
    atomic_store(&part.object.holds, 1);
    queue.device = &part;
    status = CL_RUNNING;
    straggler_add(&queue, queue_real(&queue));
    assert_int_equal(part.object.holds, 2);
    status = CL_COMPLETE;
    leave_one_that_looks(IN_RELEASE);
    queue.device = &device;
    assert_int_equal(part.object.holds, 2);
    assert_true(straggler_ended(&context));
    let_come_back();
    assert_int_equal(part.object.holds, 1);
    assert_int_equal(num_events, 0);
}

static int set_up(void **state)
{
    config.call_patience = 1;
    gate_init(NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_runs_is_never_taken_for_ended),
        cmocka_unit_test(test_stays_until_a_call_with_it_has_come_back),
        cmocka_unit_test(test_release_that_comes_back_late_is_finished),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
