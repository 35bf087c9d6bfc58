/* SPDX-License-Identifier: Apache-2.0 */
/* Contents on their way in chunks, from a driver that may not come to an end with a copy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "shim/config.h"
#include "state/context.h"
#include "state/stream.h"

#define SIZE ((size_t)3000)

static cl_int status;  /* of every event */
static char *where_to; /* of the last read */
static unsigned asked; /* for an event's status, so often */

static cl_command_queue CL_API_CALL make_queue(cl_context context, cl_device_id device,
                                               cl_command_queue_properties properties, cl_int *err)
{
    *err = CL_SUCCESS;
    return (cl_command_queue)&where_to;
}

static cl_int CL_API_CALL read_buffer(cl_command_queue queue, cl_mem mem, cl_bool blocking,
                                      size_t offset, size_t size, void *to, cl_uint num_waits,
                                      const cl_event *waits, cl_event *event)
{
    where_to = to;
    *event = (cl_event)&status;
    if (status == CL_COMPLETE)
        memset(to, 7, size);
    return CL_SUCCESS;
}

static cl_int CL_API_CALL get_event_info(cl_event event, cl_event_info param, size_t size,
                                         void *value, size_t *size_ret)
{
    asked++;
    *(cl_int *)value = status;
    return CL_SUCCESS;
}

static cl_int CL_API_CALL release_event(cl_event event)
{
    return CL_SUCCESS;
}

static cl_int CL_API_CALL flush(cl_command_queue queue)
{
    return CL_SUCCESS;
}

static const struct driver driver = {.clCreateCommandQueue = make_queue,
                                     .clEnqueueReadBuffer = read_buffer,
                                     .clGetEventInfo = get_event_info,
                                     .clReleaseEvent = release_event,
                                     .clFlush = flush};

static struct device device;
static struct device *devices[] = {&device};
static struct context context = {
    .object = {.driver = &driver}, .num_devices = 1, .devices = devices};
static struct mem buffer = {.object = {.driver = &driver, .real = &status},
                            .context = &context,
                            .type = CL_MEM_OBJECT_BUFFER,
                            .size = SIZE};

static size_t taken;

static int begin(struct stream_sink *sink, uint64_t serial, uint64_t size, struct error *err)
{
    taken = 0;
    return 0;
}

static int put(struct stream_sink *sink, const void *bytes, size_t size, struct error *err)
{
    const char *byte = bytes;
    for (size_t i = 0; i < size; i++)
        assert_int_equal(byte[i], 7);
    taken += size;
    return 0;
}

static int end(struct stream_sink *sink, struct error *err)
{
    assert_int_equal(taken, SIZE);
    return 0;
}

static struct stream_sink sink = {begin, put, end};

static void expect_whole(void)
{
    struct error err = {0};
    status = CL_COMPLETE;
    taken = 0;
    assert_int_equal(stream_down(&buffer, &sink, &err), 0);
    assert_int_equal(stream_finish(&err), 0);
    assert_int_equal(taken, SIZE);
}

static void test_contents_go_by(void **state)
{
    struct error err = {0};
    assert_int_equal(stream_prepare(&err), 0);
    expect_whole();
    stream_drop();
}

/* The driver may still write there, long after it was given up. */
static void test_memory_stays_for_a_copy_that_does_not_end(void **state)
{
    struct error err = {0};
    assert_int_equal(stream_prepare(&err), 0);
    status = CL_RUNNING;
    assert_int_equal(stream_down(&buffer, &sink, &err), 0);
    assert_int_equal(stream_finish(&err), -1);
    stream_drop();
    char *late = where_to;
    expect_whole();
    memset(late, 9, SIZE);
    assert_ptr_not_equal(late, where_to);
    stream_drop();
    assert_int_equal(late[SIZE - 1], 9);
}

/* A driver that hangs may write there yet, and is asked nothing any more. */
static void test_memory_stays_under_a_driver_that_was_abandoned(void **state)
{
    struct error err = {0};
    assert_int_equal(stream_prepare(&err), 0);
    status = CL_COMPLETE;
    assert_int_equal(stream_down(&buffer, &sink, &err), 0);
    char *late = where_to;
    asked = 0;
    stream_abandon();
    stream_drop();
    assert_int_equal(asked, 0);
    memset(late, 9, SIZE);
    expect_whole();
    assert_ptr_not_equal(late, where_to);
    stream_drop();
    assert_int_equal(late[SIZE - 1], 9);
}

/* What is counted twice is not done twice. */
static void test_what_is_copied_again_counts_once(void **state)
{
    struct error err = {0};
    assert_int_equal(stream_prepare(&err), 0);
    expect_whole();
    assert_int_equal(stream_done(), SIZE);
    buffer.stored = true;
    expect_whole();
    assert_int_equal(stream_done(), SIZE);
    buffer.stored = false;
    stream_drop();
}

static int put_nothing(struct stream_sink *sink, const void *bytes, size_t size, struct error *err)
{
    return error_set(err, 0, "no room");
}

static int put_one(struct stream_sink *sink, const void *bytes, size_t size, struct error *err)
{
    sink->put = put_nothing;
    return 0;
}

/* The contents in the program's own memory come last, and may be all there are. */
static void test_memory_is_there_again_after_a_drop(void **state)
{
    char bytes[SIZE];
    struct error err = {0};
    memset(bytes, 7, sizeof bytes);
    assert_int_equal(stream_prepare(&err), 0);
    stream_drop();
    taken = 0;
    assert_int_equal(stream_memory(1, bytes, sizeof bytes, &sink, &err), 0);
    assert_int_equal(taken, SIZE);
    stream_drop();
}

/* Nor is the rest counted anew. */
static void test_what_is_given_up_does_not_count(void **state)
{
    struct error err = {0};
    struct stream_sink full = {begin, put_one, end};
    struct mem large = buffer;
    large.size = 2 * STREAM_CHUNK;
    assert_int_equal(stream_prepare(&err), 0);
    expect_whole();
    assert_int_equal(stream_down(&large, &full, &err), 0);
    assert_int_equal(stream_finish(&err), -1);
    assert_string_equal(err.reason, "no room");
    stream_give_up();
    assert_int_equal(stream_done(), SIZE);
    expect_whole();
    assert_int_equal(stream_done(), 2 * SIZE);
    stream_drop();
}

int main(void)
{
    config.copy_patience = 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents_go_by),
        cmocka_unit_test(test_memory_stays_for_a_copy_that_does_not_end),
        cmocka_unit_test(test_memory_stays_under_a_driver_that_was_abandoned),
        cmocka_unit_test(test_what_is_copied_again_counts_once),
        cmocka_unit_test(test_memory_is_there_again_after_a_drop),
        cmocka_unit_test(test_what_is_given_up_does_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
