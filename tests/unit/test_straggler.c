/* SPDX-License-Identifier: Apache-2.0 */
/* What still runs of released queues is never taken for ended while somebody else looks, or while
 * it moves from a context that goes to those that have none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "state/context.h"
#include "state/straggler.h"

static _Atomic cl_int status = CL_RUNNING; /* of every event */
static _Atomic int num_events;
static atomic_bool stop;
static struct context context;

static cl_int CL_API_CALL enqueue_marker(cl_command_queue queue, cl_uint num_waits,
                                         const cl_event *waits, cl_event *event)
{
    *event = (cl_event)&num_events;
    atomic_fetch_add(&num_events, 1);
    return CL_SUCCESS;
}

static cl_int CL_API_CALL get_event_info(cl_event event, cl_event_info param, size_t size,
                                         void *value, size_t *size_ret)
{
    *(cl_int *)value = status;
    return CL_SUCCESS;
}

static cl_int CL_API_CALL release_event(cl_event event)
{
    atomic_fetch_sub(&num_events, 1);
    return CL_SUCCESS;
}

static cl_int CL_API_CALL succeed(cl_command_queue queue)
{
    return CL_SUCCESS;
}

static const struct driver driver = {.clEnqueueMarkerWithWaitList = enqueue_marker,
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_runs_is_never_taken_for_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
