/* SPDX-License-Identifier: Apache-2.0 */
/* The test driver's faults: each kind, told while the process runs. */
#include "tests/driver/test_support.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *tell_nothing_soon(void *unused)
{
    usleep(200000);
    tell("");
    return NULL;
}

static void test_the_nth_call_of_a_name_fails(void **state)
{
    struct setup s;
    load(&s, DRIVER);
    open_context(&s);
    tell("# comment\nfail clFinish 3 -4\n");
    must(s.cl->clFinish(s.queue));
    must(s.cl->clFlush(s.queue));
    must(s.cl->clFinish(s.queue));
    assert_int_equal(s.cl->clFinish(s.queue), -4);
    must(s.cl->clFinish(s.queue));
    tell("fail * 2 -5\n");
    must(s.cl->clFlush(s.queue));
    assert_int_equal(s.cl->clFinish(s.queue), -5);
    cl_int err;
    tell("fail clCreateBuffer 1 -61\n");
    assert_null(s.cl->clCreateBuffer(s.context, 0, 64, NULL, &err));
    assert_int_equal(err, -61);
    tell("");
    close_context(&s);
    unload(&s);
}

static void test_loading_fails(void **state)
{
    struct setup s;
    tell("fail load 1 -1001\n");
    assert_int_equal(try_load(&s, DRIVER), -1001);
    unload(&s);
    must(try_load(&s, DRIVER));
    unload(&s);
}

static void test_counts_go_on_in_a_library_loaded_anew(void **state)
{
    struct setup s;
    tell("fail clFinish 3 -5\n");
    load(&s, DRIVER);
    open_context(&s);
    must(s.cl->clFinish(s.queue));
    must(s.cl->clFinish(s.queue));
    close_context(&s);
    unload(&s);
    load(&s, DRIVER);
    open_context(&s);
    assert_int_equal(s.cl->clFinish(s.queue), -5);
    close_context(&s);
    unload(&s);
}

static void test_a_call_hangs_until_the_line_is_gone(void **state)
{
    struct setup s;
    pthread_t thread;
    load(&s, DRIVER);
    open_context(&s);
    tell("hang clFinish 1\n");
    double start = seconds();
    pthread_create(&thread, NULL, tell_nothing_soon, NULL);
    must(s.cl->clFinish(s.queue));
    assert_true(seconds() - start > 0.15);
    pthread_join(thread, NULL);
    close_context(&s);
    unload(&s);
}

static void test_a_call_is_slow(void **state)
{
    struct setup s;
    load(&s, DRIVER);
    open_context(&s);
    tell("slow clFlush 100000\n");
    double start = seconds();
    must(s.cl->clFlush(s.queue));
    assert_true(seconds() - start >= 0.1);
    close_context(&s);
    unload(&s);
}

static void test_kernels_stall_until_the_line_is_gone(void **state)
{
    struct setup s;
    pthread_t thread;
    cl_event event;
    cl_int status;
    size_t one = 1;
    load(&s, DRIVER);
    open_context(&s);
    cl_kernel kernel = make_kernel(&s, "kernel void f(void) {}", "f");
    tell("stall 1\n");
    must(s.cl->clEnqueueNDRangeKernel(s.queue, kernel, 1, NULL, &one, NULL, 0, NULL, &event));
    must(s.cl->clFlush(s.queue));
    usleep(50000);
    must(s.cl->clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status,
                              NULL));
    assert_true(status > CL_COMPLETE);
    double start = seconds();
    pthread_create(&thread, NULL, tell_nothing_soon, NULL);
    must(s.cl->clFinish(s.queue));
    assert_true(seconds() - start > 0.15);
    pthread_join(thread, NULL);
    must(s.cl->clReleaseEvent(event));
    must(s.cl->clReleaseKernel(kernel));
    close_context(&s);
    unload(&s);
    assert_false(is_loaded("libshadowcl-testdriver.so"));
}

static void test_calls_are_logged(void **state)
{
    struct setup s;
    char line[256], lines[256] = "";
    load(&s, DRIVER);
    open_context(&s);
    snprintf(line, sizeof line, "log %s\n", log_file);
    tell(line);
    must(s.cl->clFlush(s.queue));
    must(s.cl->clFinish(s.queue));
    tell("");
    close_context(&s);
    unload(&s);
    FILE *file = fopen(log_file, "r");
    assert_non_null(file);
    lines[fread(lines, 1, sizeof lines - 1, file)] = 0;
    fclose(file);
    assert_string_equal(lines, "clFlush\nclFinish\n");
}

static void CL_CALLBACK hear(const char *text, const void *info, size_t size, void *heard)
{
    if (!strcmp(text, "too hot") && size == sizeof "too hot" && !memcmp(info, text, size))
        ++*(int *)heard;
}

static void test_a_notice_reaches_the_context(void **state)
{
    struct setup s;
    cl_int err;
    int heard = 0;
    load(&s, DRIVER);
    open_context(&s);
    cl_context context = s.cl->clCreateContext(NULL, 1, s.devices, hear, &heard, &err);
    must(err);
    tell("notice 2 too hot\n");
    must(s.cl->clFlush(s.queue));
    assert_int_equal(heard, 0);
    must(s.cl->clFlush(s.queue));
    assert_int_equal(heard, 1);
    must(s.cl->clFlush(s.queue));
    must(s.cl->clReleaseContext(context));
    tell("notice 1 too hot\n");
    must(s.cl->clFlush(s.queue));
    assert_int_equal(heard, 1);
    close_context(&s);
    unload(&s);
}

static void test_a_spoiled_unmap_ends_with_its_error(void **state)
{
    struct setup s;
    cl_event event;
    cl_int err, status = 0;
    load(&s, DRIVER);
    open_context(&s);
    cl_mem mem = s.cl->clCreateBuffer(s.context, 0, COUNT, NULL, &err);
    must(err);
    void *p =
        s.cl->clEnqueueMapBuffer(s.queue, mem, CL_TRUE, CL_MAP_READ, 0, COUNT, 0, NULL, NULL, &err);
    must(err);
    tell("spoil clEnqueueUnmapMemObject 1 -5\n");
    must(s.cl->clEnqueueUnmapMemObject(s.queue, mem, p, 0, NULL, &event));
    assert_int_not_equal(s.cl->clWaitForEvents(1, &event), CL_SUCCESS);
    must(s.cl->clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status,
                              NULL));
    assert_int_equal(status, -5);
    must(s.cl->clReleaseEvent(event));
    must(s.cl->clEnqueueUnmapMemObject(s.queue, mem, p, 0, NULL, &event));
    must(s.cl->clWaitForEvents(1, &event));
    must(s.cl->clReleaseEvent(event));
    must(s.cl->clReleaseMemObject(mem));
    close_context(&s);
    unload(&s);
}

static void test_a_byte_of_the_oldest_buffer_is_flipped(void **state)
{
    struct setup s;
    cl_mem mems[2];
    unsigned char bytes[COUNT], before[COUNT];
    cl_int err;
    load(&s, DRIVER);
    open_context(&s);
    memset(before, 0x0f, sizeof before);
    for (int i = 0; i < 2; i++) {
        mems[i] = s.cl->clCreateBuffer(s.context, CL_MEM_COPY_HOST_PTR, COUNT, before, &err);
        must(err);
    }
    tell("flip clFinish 2 5\n");
    for (int i = 0; i < 3; i++)
        must(s.cl->clFinish(s.queue));
    for (int i = 0; i < 2; i++) {
        must(s.cl->clEnqueueReadBuffer(s.queue, mems[i], CL_TRUE, 0, COUNT, bytes, 0, NULL, NULL));
        if (i == 0)
            before[5] = 0xf0;
        assert_memory_equal(bytes, before, COUNT);
        before[5] = 0x0f;
        must(s.cl->clReleaseMemObject(mems[i]));
    }
    close_context(&s);
    unload(&s);
}

const struct CMUnitTest fault_tests[] = {
    cmocka_unit_test_setup_teardown(test_the_nth_call_of_a_name_fails, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_loading_fails, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_counts_go_on_in_a_library_loaded_anew, test_begin,
                                    test_end),
    cmocka_unit_test_setup_teardown(test_a_call_hangs_until_the_line_is_gone, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_a_call_is_slow, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_kernels_stall_until_the_line_is_gone, test_begin,
                                    test_end),
    cmocka_unit_test_setup_teardown(test_a_notice_reaches_the_context, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_a_spoiled_unmap_ends_with_its_error, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_a_byte_of_the_oldest_buffer_is_flipped, test_begin,
                                    test_end),
    cmocka_unit_test_setup_teardown(test_calls_are_logged, test_begin, test_end),
};
const size_t num_fault_tests = sizeof fault_tests / sizeof *fault_tests;
