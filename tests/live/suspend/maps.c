/* SPDX-License-Identifier: Apache-2.0 */
/* Mapped regions through a suspend: the pointers stay, what is written through them is kept, and
 * reaches the device when they are unmapped. */
#include "live.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 16384

static unsigned char *map(cl_mem mem, cl_map_flags flags, size_t offset, size_t size)
{
    cl_int err;
    unsigned char *pointer =
        clEnqueueMapBuffer(live.queue, mem, CL_TRUE, flags, offset, size, 0, NULL, NULL, &err);
    made(pointer);
    return pointer;
}

static void unmap(cl_mem mem, void *pointer)
{
    ok(clEnqueueUnmapMemObject(live.queue, mem, pointer, 0, NULL, NULL));
    ok(clFinish(live.queue)); /* drivers count it as mapped until the command has run */
}

/* rusticl and oclgrind don't count. */
static void expect_count(cl_mem mem, cl_uint expected)
{
    cl_uint count = 99;
    ok(clGetMemObjectInfo(mem, CL_MEM_MAP_COUNT, sizeof count, &count, NULL));
    if (live_shadowed() || live.pocl)
        assert_int_equal(count, expected);
}

static void test_reads_keep_their_bytes(void **state)
{
    unsigned char bytes[SIZE];
    live_pattern(bytes, SIZE, 1);
    cl_mem mem = live_buffer(SIZE, bytes);
    unsigned char *p = map(mem, CL_MAP_READ, 100, 1000);
    live_cycle();
    assert_memory_equal(p, bytes + 100, 1000);
    expect_count(mem, 1);
    unmap(mem, p);
    live_cycle();
    expect_count(mem, 0);
    live_expect(mem, 0, bytes, SIZE);
    ok(clReleaseMemObject(mem));
}

/* The object is released, and its map has still to be carried out. (OpenCL 3.0 §5.5.1: it goes once
 * the commands that use it have ended.) */
static void test_a_map_on_its_way_when_its_object_is_released(void **state)
{
    const size_t size = 16 << 20, items = size / 4;
    const cl_uint value = 7;
    cl_int err;
    live_need(live.pocl); /* others are too slow for so much, or don't survive it natively */
    cl_kernel kernel =
        live_kernel("kernel void work(global uint *to) { uint x = get_global_id(0);\n"
                    "for (uint i = 0; i < 200; i++) x = x * 1664525u + 1013904223u;\n"
                    "to[get_global_id(0)] = x; }\n",
                    "work");
    for (int round = 0; round < 4; round++) {
        cl_mem busy = live_buffer(size, NULL), mem = live_buffer(size, NULL);
        ok(clEnqueueFillBuffer(live.queue, mem, &value, sizeof value, 0, size, 0, NULL, NULL));
        ok(clSetKernelArg(kernel, 0, sizeof busy, &busy));
        live_launch(live.queue, kernel, items);
        void *at = clEnqueueMapBuffer(live.queue, mem, CL_FALSE, CL_MAP_READ, 0, size, 0, NULL,
                                      NULL, &err);
        made(at);
        ok(clReleaseMemObject(mem));
        if (round % 2)
            live_cycle();
        ok(clFinish(live.queue));
        ok(clReleaseMemObject(busy));
    }
    ok(clReleaseKernel(kernel));
}

/* Written before, during and after a suspend. */
static void write_through(cl_map_flags flags)
{
    unsigned char bytes[SIZE];
    live_pattern(bytes, SIZE, 2);
    cl_mem mem = live_buffer(SIZE, bytes);
    unsigned char *p = map(mem, flags, 128, 4096);
    live_pattern(p, 4096, 3);
    live_suspend();
    memset(p + 1000, 0xaa, 100);
    live_resume();
    memset(p + 2000, 0xbb, 100);
    live_cycle();
    memset(p + 3000, 0xcc, 100);
    live_pattern(bytes + 128, 4096, 3);
    memset(bytes + 1128, 0xaa, 100);
    memset(bytes + 2128, 0xbb, 100);
    memset(bytes + 3128, 0xcc, 100);
    assert_memory_equal(p, bytes + 128, 4096);
    unmap(mem, p);
    live_expect(mem, 0, bytes, SIZE);
    live_cycle();
    live_expect(mem, 0, bytes, SIZE);
    ok(clReleaseMemObject(mem));
}

static void test_writes_reach_the_device_at_unmap(void **state)
{
    write_through(CL_MAP_WRITE);
    write_through(CL_MAP_READ | CL_MAP_WRITE);
    write_through(CL_MAP_WRITE_INVALIDATE_REGION);
}

/* §5.2.4 forbids them, pocl takes them: what is not written stays. */
static void test_flags_that_exclude_each_other(void **state)
{
    static const cl_map_flags others[] = {CL_MAP_READ, CL_MAP_WRITE, CL_MAP_READ | CL_MAP_WRITE};
    unsigned char bytes[SIZE];
    cl_int err;
    live_need(live.pocl);
    live_pattern(bytes, SIZE, 4);
    cl_mem mem = live_buffer(SIZE, bytes);
    for (unsigned char i = 0; i < 3; i++) {
        unsigned char *p =
            clEnqueueMapBuffer(live.queue, mem, CL_TRUE, others[i] | CL_MAP_WRITE_INVALIDATE_REGION,
                               128, 4096, 0, NULL, NULL, &err);
        made(p);
        assert_memory_equal(p, bytes + 128, 4096);
        live_cycle();
        if (others[i] & CL_MAP_WRITE) {
            memset(p + 1000, i, 100);
            memset(bytes + 1128, i, 100);
        }
        unmap(mem, p);
        live_expect(mem, 0, bytes, SIZE);
    }
    ok(clReleaseMemObject(mem));
}

static void test_several_maps_of_one_buffer(void **state)
{
    unsigned char bytes[SIZE], *p[4];
    live_pattern(bytes, SIZE, 5);
    cl_mem mem = live_buffer(SIZE, bytes);
    for (int i = 0; i < 4; i++)
        p[i] = map(mem, i % 2 ? CL_MAP_WRITE : CL_MAP_READ, (size_t)i * 4096, 4096);
    memset(p[1], 1, 4096);
    live_suspend();
    expect_count(mem, 4);
    memset(p[3], 3, 4096);
    live_resume();
    expect_count(mem, 4);
    assert_memory_equal(p[0], bytes, 4096);
    assert_memory_equal(p[2], bytes + 8192, 4096);
    memset(bytes + 4096, 1, 4096);
    memset(bytes + 12288, 3, 4096);
    unmap(mem, p[1]);
    unmap(mem, p[0]);
    live_cycle();
    expect_count(mem, 2);
    unmap(mem, p[3]);
    unmap(mem, p[2]);
    expect_count(mem, 0);
    live_expect(mem, 0, bytes, SIZE);
    if (live_shadowed() || live.pocl)
        assert_int_equal(clEnqueueUnmapMemObject(live.queue, mem, bytes, 0, NULL, NULL),
                         CL_INVALID_VALUE);
    ok(clReleaseMemObject(mem));
}

static void test_same_region_mapped_for_reading_twice(void **state)
{
    unsigned char bytes[SIZE];
    live_pattern(bytes, SIZE, 6);
    cl_mem mem = live_buffer(SIZE, bytes);
    unsigned char *one = map(mem, CL_MAP_READ, 0, SIZE), *two = map(mem, CL_MAP_READ, 0, SIZE);
    live_cycle();
    expect_count(mem, 2);
    unmap(mem, one);
    live_cycle();
    assert_memory_equal(two, bytes, SIZE);
    unmap(mem, two);
    expect_count(mem, 0);
    ok(clFinish(live.queue));
    ok(clReleaseMemObject(mem));
}

static void test_maps_of_sub_buffers(void **state)
{
    cl_int err;
    unsigned char bytes[SIZE];
    live_pattern(bytes, SIZE, 7);
    cl_mem parent = live_buffer(SIZE, bytes);
    cl_buffer_region low = {0, 8192}, high = {8192, 8192};
    cl_mem a = clCreateSubBuffer(parent, 0, CL_BUFFER_CREATE_TYPE_REGION, &low, &err);
    made(a);
    cl_mem b = clCreateSubBuffer(parent, 0, CL_BUFFER_CREATE_TYPE_REGION, &high, &err);
    made(b);
    unsigned char *pa = map(a, CL_MAP_WRITE, 16, 100), *pb = map(b, CL_MAP_WRITE, 32, 100);
    memset(pa, 0x11, 100);
    live_cycle();
    memset(pb, 0x22, 100);
    live_cycle();
    unmap(a, pa);
    unmap(b, pb);
    memset(bytes + 16, 0x11, 100);
    memset(bytes + 8192 + 32, 0x22, 100);
    live_expect(parent, 0, bytes, SIZE);
    live_cycle();
    live_expect(parent, 0, bytes, SIZE);
    ok(clReleaseMemObject(a));
    ok(clReleaseMemObject(b));
    ok(clReleaseMemObject(parent));
}

static void test_overlapping_sub_buffers_mapped_at_once(void **state)
{
    cl_int err;
    unsigned char bytes[SIZE];
    live_pattern(bytes, SIZE, 8);
    cl_mem parent = live_buffer(SIZE, bytes);
    cl_buffer_region low = {0, 8192}, high = {4096, 8192};
    cl_mem a = clCreateSubBuffer(parent, 0, CL_BUFFER_CREATE_TYPE_REGION, &low, &err);
    made(a);
    cl_mem b = clCreateSubBuffer(parent, 0, CL_BUFFER_CREATE_TYPE_REGION, &high, &err);
    made(b);
    unsigned char *pa = map(a, CL_MAP_READ, 0, 8192), *pb = map(b, CL_MAP_READ, 0, 8192);
    live_cycle();
    assert_memory_equal(pa, bytes, 8192);
    assert_memory_equal(pb, bytes + 4096, 8192);
    unmap(b, pb);
    live_cycle();
    unmap(a, pa);
    live_expect(parent, 0, bytes, SIZE);
    ok(clReleaseMemObject(a));
    ok(clReleaseMemObject(b));
    ok(clReleaseMemObject(parent));
}

static void test_host_pointer_buffer_is_mapped_where_it_lies(void **state)
{
    cl_int err;
    unsigned char *host = aligned_alloc(4096, SIZE), bytes[SIZE];
    live_pattern(host, SIZE, 9);
    cl_mem mem = clCreateBuffer(live.context, CL_MEM_USE_HOST_PTR, SIZE, host, &err);
    made(mem);
    unsigned char *p = map(mem, CL_MAP_READ | CL_MAP_WRITE, 64, 1024);
    assert_ptr_equal(p, host + 64);
    memset(p, 0x77, 512);
    live_suspend();
    memset(p + 512, 0x88, 512);
    live_resume();
    live_pattern(bytes, SIZE, 9);
    memset(bytes + 64, 0x77, 512);
    memset(bytes + 576, 0x88, 512);
    assert_memory_equal(p, bytes + 64, 1024);
    unmap(mem, p);
    live_expect(mem, 0, bytes, SIZE);
    ok(clReleaseMemObject(mem));
    free(host);
}

/* Two regions are mapped, one by way of a sub-buffer; the device writes beside them. */
static void test_host_memory_has_what_was_written_beside_its_maps(void **state)
{
    cl_int err;
    unsigned char *host = aligned_alloc(4096, SIZE), bytes[SIZE], seen[SIZE], fill = 0x66;
    cl_buffer_region half = {8192, 8192};
    live_pattern(host, SIZE, 12);
    live_pattern(bytes, SIZE, 12);
    cl_mem mem = clCreateBuffer(live.context, CL_MEM_USE_HOST_PTR, SIZE, host, &err);
    made(mem);
    cl_mem sub = clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &half, &err);
    made(sub);
    unsigned char *p = map(mem, CL_MAP_WRITE, 100, 16), *q = map(sub, CL_MAP_WRITE, 2000, 1000);
    for (int round = 0; round < 2; round++, fill++) {
        memset(p, round, 16);
        ok(clEnqueueFillBuffer(live.queue, mem, &fill, 1, 4096, 6000, 0, NULL, NULL));
        ok(clEnqueueFillBuffer(live.queue, mem, &fill, 1, 12288, 4096, 0, NULL, NULL));
        live_suspend();
        memset(q, round + 7, 1000);
        memset(bytes + 100, round, 16);
        memset(bytes + 4096, fill, 6000);
        memset(bytes + 10192, round + 7, 1000);
        memset(bytes + 12288, fill, 4096);
        live_copy_written(seen, host, SIZE);
        live_resume();
        if (live_commanded())
            assert_memory_equal(seen, bytes, SIZE);
    }
    unmap(mem, p);
    unmap(sub, q);
    live_expect(mem, 0, bytes, SIZE);
    live_cycle();
    live_expect(mem, 0, bytes, SIZE);
    ok(clReleaseMemObject(sub));
    ok(clReleaseMemObject(mem));
    free(host);
}

static void test_mapped_buffer_released_by_the_program(void **state)
{
    unsigned char bytes[SIZE];
    live_pattern(bytes, SIZE, 10);
    cl_mem mem = live_buffer(SIZE, bytes);
    unsigned char *p = map(mem, CL_MAP_READ, 0, SIZE);
    live_cycle();
    unmap(mem, p);
    ok(clReleaseMemObject(mem));
    live_cycle();
    ok(clFinish(live.queue));
}

static void test_other_parts_stay_in_use_by_the_device(void **state)
{
    unsigned char bytes[SIZE], fill = 0x33;
    live_pattern(bytes, SIZE, 11);
    cl_mem mem = live_buffer(SIZE, bytes);
    unsigned char *p = map(mem, CL_MAP_WRITE, 0, 4096);
    memset(p, 0x44, 4096);
    ok(clEnqueueFillBuffer(live.queue, mem, &fill, 1, 8192, 4096, 0, NULL, NULL));
    live_cycle();
    ok(clEnqueueFillBuffer(live.queue, mem, &fill, 1, 4096, 2048, 0, NULL, NULL));
    live_cycle();
    memset(bytes, 0x44, 4096);
    memset(bytes + 8192, 0x33, 4096);
    memset(bytes + 4096, 0x33, 2048);
    unmap(mem, p);
    live_expect(mem, 0, bytes, SIZE);
    ok(clReleaseMemObject(mem));
}

/* The host's writes are over at the call, but the driver hears of the unmap only after the rebuild;
 * the same region is mapped once more meanwhile. */
static void test_unmap_behind_an_unset_event(void **state)
{
    cl_int err;
    unsigned char bytes[SIZE];
    live_pattern(bytes, SIZE, 12);
    cl_mem mem = live_buffer(SIZE, bytes);
    unsigned char *p = map(mem, CL_MAP_READ | CL_MAP_WRITE, 0, SIZE);
    unsigned char *again = map(mem, CL_MAP_READ, 0, SIZE);
    memset(p + 100, 0x55, 1000);
    memset(bytes + 100, 0x55, 1000);
    cl_event gate = clCreateUserEvent(live.context, &err), done;
    made(gate);
    ok(clEnqueueUnmapMemObject(live.queue, mem, p, 1, &gate, &done));
    live_cycle();
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    ok(clWaitForEvents(1, &done));
    live_cycle();
    unmap(mem, again);
    expect_count(mem, 0);
    live_expect(mem, 0, bytes, SIZE);
    ok(clReleaseEvent(done));
    ok(clReleaseEvent(gate));
    ok(clReleaseMemObject(mem));
}

/* What the host wrote lies in the program's own memory until the driver hears of the unmap. */
static void test_unmap_of_host_memory_behind_an_unset_event(void **state)
{
    cl_int err;
    static _Alignas(4096) unsigned char host[SIZE];
    unsigned char bytes[SIZE];
    live_pattern(host, SIZE, 13);
    live_pattern(bytes, SIZE, 13);
    cl_mem mem = clCreateBuffer(live.context, CL_MEM_USE_HOST_PTR, SIZE, host, &err);
    made(mem);
    unsigned char *p = map(mem, CL_MAP_READ | CL_MAP_WRITE, 0, SIZE);
    memset(p + 100, 0x66, 1000);
    memset(bytes + 100, 0x66, 1000);
    cl_event gate = clCreateUserEvent(live.context, &err), done;
    made(gate);
    ok(clEnqueueUnmapMemObject(live.queue, mem, p, 1, &gate, &done));
    live_cycle();
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    ok(clWaitForEvents(1, &done));
    live_expect(mem, 0, bytes, SIZE);
    ok(clReleaseEvent(done));
    ok(clReleaseEvent(gate));
    ok(clReleaseMemObject(mem));
}

/* OpenCL 3.0 §5.11: a command whose wait list has failed does not run. So the region stays mapped,
 * as it was, and can be unmapped. Not natively: pocl 3.1 counts the region as unmapped, and its
 * queue never finishes. */
static void fail_to_unmap(bool failed_before)
{
    cl_int err, status = 0;
    unsigned char bytes[SIZE];
    if (!live_shadowed())
        skip();
    live_pattern(bytes, SIZE, 14);
    cl_mem mem = live_buffer(SIZE, bytes);
    unsigned char *p = map(mem, CL_MAP_READ | CL_MAP_WRITE, 0, SIZE);
    memset(p + 200, 0x77, 1000);
    cl_event gate = clCreateUserEvent(live.context, &err), done;
    made(gate);
    if (failed_before)
        ok(clSetUserEventStatus(gate, -77));
    ok(clEnqueueUnmapMemObject(live.queue, mem, p, 1, &gate, &done));
    live_cycle();
    if (!failed_before)
        ok(clSetUserEventStatus(gate, -77));
    assert_int_not_equal(clWaitForEvents(1, &done), CL_SUCCESS);
    ok(clGetEventInfo(done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
    assert_true(status < 0);
    expect_count(mem, 1);
    live_cycle();
    memset(p + 2000, 0x88, 1000);
    memset(bytes + 200, 0x77, 1000);
    memset(bytes + 2000, 0x88, 1000);
    unmap(mem, p);
    expect_count(mem, 0);
    live_expect(mem, 0, bytes, SIZE);
    assert_int_equal(clEnqueueUnmapMemObject(live.queue, mem, p, 0, NULL, NULL), CL_INVALID_VALUE);
    ok(clReleaseEvent(done));
    ok(clReleaseEvent(gate));
    ok(clReleaseMemObject(mem));
}

static void test_unmap_whose_event_fails_leaves_the_region_mapped(void **state)
{
    fail_to_unmap(false);
}

static void test_unmap_whose_event_had_failed_leaves_the_region_mapped(void **state)
{
    fail_to_unmap(true);
}

/* §5.11: a map that never runs has read nothing, and to unmap what it gave writes nothing back. */
static void fail_to_map(cl_map_flags flags, bool failed_before, bool unmapped_before)
{
    unsigned char bytes[SIZE];
    cl_int err;
    cl_event gate = live_user_event(), done;
    live_pattern(bytes, SIZE, 15);
    cl_mem mem = live_buffer(SIZE, bytes);
    if (failed_before)
        ok(clSetUserEventStatus(gate, -77));
    void *p =
        clEnqueueMapBuffer(live.queue, mem, CL_FALSE, flags, 100, 4096, 1, &gate, &done, &err);
    made(p);
    if (unmapped_before)
        ok(clEnqueueUnmapMemObject(live.queue, mem, p, 0, NULL, NULL));
    live_cycle();
    if (!failed_before)
        ok(clSetUserEventStatus(gate, -77));
    assert_int_not_equal(clWaitForEvents(1, &done), CL_SUCCESS);
    if (!unmapped_before)
        ok(clEnqueueUnmapMemObject(live.queue, mem, p, 0, NULL, NULL));
    ok(clFinish(live.queue));
    live_expect(mem, 0, bytes, SIZE);
    expect_count(mem, 0);
    ok(clReleaseEvent(done));
    ok(clReleaseEvent(gate));
    ok(clReleaseMemObject(mem));
}

static void test_map_whose_event_fails_writes_nothing_back(void **state)
{
    if (!live_shadowed())
        skip(); /* pocl aborts */
    for (int i = 0; i < 8; i++)
        fail_to_map(i & 1 ? CL_MAP_READ | CL_MAP_WRITE : CL_MAP_WRITE_INVALIDATE_REGION, i & 2,
                    i & 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_map_on_its_way_when_its_object_is_released),
        cmocka_unit_test(test_reads_keep_their_bytes),
        cmocka_unit_test(test_writes_reach_the_device_at_unmap),
        cmocka_unit_test(test_flags_that_exclude_each_other),
        cmocka_unit_test(test_several_maps_of_one_buffer),
        cmocka_unit_test(test_same_region_mapped_for_reading_twice),
        cmocka_unit_test(test_maps_of_sub_buffers),
        cmocka_unit_test(test_overlapping_sub_buffers_mapped_at_once),
        cmocka_unit_test(test_host_pointer_buffer_is_mapped_where_it_lies),
        cmocka_unit_test(test_host_memory_has_what_was_written_beside_its_maps),
        cmocka_unit_test(test_mapped_buffer_released_by_the_program),
        cmocka_unit_test(test_other_parts_stay_in_use_by_the_device),
        cmocka_unit_test(test_unmap_behind_an_unset_event),
        cmocka_unit_test(test_unmap_of_host_memory_behind_an_unset_event),
        cmocka_unit_test(test_unmap_whose_event_fails_leaves_the_region_mapped),
        cmocka_unit_test(test_unmap_whose_event_had_failed_leaves_the_region_mapped),
        cmocka_unit_test(test_map_whose_event_fails_writes_nothing_back),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
