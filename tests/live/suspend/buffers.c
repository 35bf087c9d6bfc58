/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers and sub-buffers through a suspend: contents, flags, answers, callbacks. */
#include "live.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SIZE 5000 /* not a multiple of a page or a cache line */

static const cl_uint params[] = {CL_MEM_TYPE,      CL_MEM_FLAGS,
                                 CL_MEM_SIZE,      CL_MEM_HOST_PTR,
                                 CL_MEM_MAP_COUNT, CL_MEM_REFERENCE_COUNT,
                                 CL_MEM_CONTEXT,   CL_MEM_ASSOCIATED_MEMOBJECT,
                                 CL_MEM_OFFSET,    CL_MEM_USES_SVM_POINTER,
                                 CL_MEM_PROPERTIES};

struct one {
    cl_mem mem;
    cl_mem_flags flags;
    unsigned char *host; /* owned */
    unsigned char told[512];
    size_t num_told;
};

static const cl_mem_flags accesses[] = {0, CL_MEM_READ_WRITE, CL_MEM_READ_ONLY, CL_MEM_WRITE_ONLY};
static const cl_mem_flags pointers[] = {0, CL_MEM_USE_HOST_PTR, CL_MEM_ALLOC_HOST_PTR,
                                        CL_MEM_COPY_HOST_PTR,
                                        CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR};
static const cl_mem_flags hosts[] = {0, CL_MEM_HOST_READ_ONLY, CL_MEM_HOST_WRITE_ONLY,
                                     CL_MEM_HOST_NO_ACCESS};
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define COMBINATIONS (COUNT(accesses) * COUNT(pointers) * COUNT(hosts))

static void make_one(struct one *one, unsigned index)
{
    cl_int err;
    unsigned char bytes[SIZE];
    one->flags = accesses[index % 4] | hosts[index / 4 % 4] | pointers[index / 16];
    bool wants_pointer = one->flags & (CL_MEM_USE_HOST_PTR | CL_MEM_COPY_HOST_PTR);
    one->host = aligned_alloc(128, 5120);
    assert_non_null(one->host);
    live_pattern(one->host, SIZE, index);
    one->mem =
        clCreateBuffer(live.context, one->flags, SIZE, wants_pointer ? one->host : NULL, &err);
    made(one->mem);
    if (!wants_pointer || index % 2) {
        live_pattern(bytes, SIZE, index);
        cl_mem from = live_buffer(SIZE, bytes);
        ok(clEnqueueCopyBuffer(live.queue, from, one->mem, 0, 0, SIZE, 0, NULL, NULL));
        ok(clReleaseMemObject(from));
    }
    one->num_told = live_ask(clGetMemObjectInfo, one->mem, params, one->told);
}

static void test_every_combination_of_flags_comes_back(void **state)
{
    static struct one all[COMBINATIONS];
    for (unsigned i = 0; i < COMBINATIONS; i++)
        make_one(&all[i], i);
    for (int round = 0; round < 2; round++) {
        live_cycle();
        for (unsigned i = 0; i < COMBINATIONS; i++) {
            unsigned char bytes[SIZE], told[512];
            live_pattern(bytes, SIZE, i);
            live_expect(all[i].mem, 0, bytes, SIZE);
            if (!live_shadowed())
                continue; /* drivers count the references of their commands, too */
            size_t size = live_ask(clGetMemObjectInfo, all[i].mem, params, told);
            assert_int_equal(size, all[i].num_told);
            assert_memory_equal(told, all[i].told, size);
        }
    }
    for (unsigned i = 0; i < COMBINATIONS; i++) {
        ok(clReleaseMemObject(all[i].mem));
        free(all[i].host);
    }
}

static void test_host_access_flags_keep_their_errors(void **state)
{
    cl_int err;
    unsigned char bytes[SIZE];
    cl_mem mems[4];
    for (int i = 0; i < 4; i++) {
        mems[i] = clCreateBuffer(live.context, hosts[i], SIZE, NULL, &err);
        made(mems[i]);
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 4; i++) {
            cl_int read = i == 2 || i == 3 ? CL_INVALID_OPERATION : CL_SUCCESS;
            cl_int write = i == 1 || i == 3 ? CL_INVALID_OPERATION : CL_SUCCESS;
            assert_int_equal(
                clEnqueueWriteBuffer(live.queue, mems[i], CL_TRUE, 0, SIZE, bytes, 0, NULL, NULL),
                write);
            assert_int_equal(
                clEnqueueReadBuffer(live.queue, mems[i], CL_TRUE, 0, SIZE, bytes, 0, NULL, NULL),
                read);
            clEnqueueMapBuffer(live.queue, mems[i], CL_TRUE, CL_MAP_READ, 0, 1, 0, NULL, NULL,
                               &err);
            assert_int_equal(err, read);
            clEnqueueMapBuffer(live.queue, mems[i], CL_TRUE, CL_MAP_WRITE, 0, 1, 0, NULL, NULL,
                               &err);
            assert_int_equal(err, write);
        }
        if (round == 0)
            live_cycle();
    }
    for (int i = 0; i < 4; i++)
        ok(clReleaseMemObject(mems[i]));
}

static void test_use_host_ptr_stays_the_programs_memory(void **state)
{
    cl_int err;
    unsigned char *host = aligned_alloc(4096, 8192), bytes[8192], fill = 0x5a;
    live_pattern(host, 8192, 1);
    cl_mem mem = clCreateBuffer(live.context, CL_MEM_USE_HOST_PTR, 8192, host, &err);
    made(mem);
    for (int round = 0; round < 3; round++, fill++) {
        live_pattern(bytes, 8192, 1);
        memset(bytes + 100, fill, 1000);
        ok(clEnqueueFillBuffer(live.queue, mem, &fill, 1, 100, 1000, 0, NULL, NULL));
        live_cycle();
        unsigned char *mapped = clEnqueueMapBuffer(live.queue, mem, CL_TRUE, CL_MAP_READ, 10, 8000,
                                                   0, NULL, NULL, &err);
        made(mapped);
        assert_ptr_equal(mapped, host + 10);
        assert_memory_equal(host, bytes, 8192);
        ok(clEnqueueUnmapMemObject(live.queue, mem, mapped, 0, NULL, NULL));
    }
    ok(clFinish(live.queue));
    ok(clReleaseMemObject(mem));
    free(host);
}

/* A table in the executable, say: whoever writes there ends the process. */
static void test_memory_that_the_program_cannot_write(void **state)
{
    cl_int err;
    const size_t size = 8192;
    unsigned char bytes[8192], read[8192];
    unsigned char *fixed =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(fixed, MAP_FAILED);
    live_pattern(bytes, size, 6);
    memcpy(fixed, bytes, size);
    assert_int_equal(mprotect(fixed, size, PROT_READ), 0);
    cl_mem mem =
        clCreateBuffer(live.context, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR, size, fixed, &err);
    made(mem);
    live_cycle();
    live_expect(mem, 0, bytes, size);
    if (live_shadowed() || live.pocl) { /* the test driver writes there itself */
        unsigned char *mapped =
            clEnqueueMapBuffer(live.queue, mem, CL_TRUE, CL_MAP_READ, 0, size, 0, NULL, NULL, &err);
        made(mapped);
        assert_memory_equal(mapped, bytes, size);
        live_cycle();
        assert_memory_equal(mapped, bytes, size);
        ok(clEnqueueUnmapMemObject(live.queue, mem, mapped, 0, NULL, NULL));
    }
    ok(clEnqueueReadBuffer(live.queue, mem, CL_TRUE, 0, size, read, 0, NULL, NULL));
    assert_memory_equal(read, bytes, size);
    ok(clReleaseMemObject(mem));
    munmap(fixed, size);
}

struct release {
    cl_mem mem;
    _Atomic int done;
};

static void *release_it(void *data)
{
    struct release *it = data;
    ok(clReleaseMemObject(it->mem));
    it->done = 1;
    return NULL;
}

/* §5.2.1: then the memory is the program's alone, which may well unmap it. */
static void test_last_view_of_the_programs_memory_is_released_while_suspended(void **state)
{
    cl_int err;
    pthread_t thread;
    static _Alignas(4096) unsigned char host[8192];
    cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
    cl_mem mem = clCreateBuffer(live.context, CL_MEM_USE_HOST_PTR, sizeof host, host, &err);
    made(mem);
    cl_image_desc desc = {
        .image_type = CL_MEM_OBJECT_IMAGE1D_BUFFER, .image_width = 1024, .mem_object = mem};
    struct release it = {clCreateImage(live.context, 0, &format, &desc, NULL, &err), 0};
    ok(clReleaseMemObject(mem));
    live_need(err == CL_SUCCESS);
    live_suspend();
    assert_int_equal(pthread_create(&thread, NULL, release_it, &it), 0);
    live_sleep(100);
    if (live_commanded())
        assert_int_equal(it.done, 0);
    live_resume();
    assert_int_equal(pthread_join(thread, NULL), 0);
    memset(host, 1, sizeof host);
}

static cl_mem sub_buffer(cl_mem parent, cl_mem_flags flags, size_t origin, size_t size)
{
    cl_int err;
    cl_buffer_region region = {origin, size};
    cl_mem sub = clCreateSubBuffer(parent, flags, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
    made(sub);
    return sub;
}

static void test_overlapping_sub_buffers_share_their_parents_bytes(void **state)
{
    unsigned char bytes[16384], told[2][512], fill = 9;
    live_pattern(bytes, sizeof bytes, 4);
    cl_mem parent = live_buffer(sizeof bytes, bytes);
    cl_mem low = sub_buffer(parent, CL_MEM_READ_ONLY, 0, 8192);
    cl_mem high = sub_buffer(parent, 0, 4096, 8192);
    size_t size = live_ask(clGetMemObjectInfo, high, params, told[0]);
    ok(clReleaseMemObject(parent)); /* the sub-buffers keep it */
    live_cycle();
    assert_int_equal(live_ask(clGetMemObjectInfo, high, params, told[1]), size);
    assert_memory_equal(told[0], told[1], size);
    live_expect(low, 0, bytes, 8192);
    live_expect(high, 0, bytes + 4096, 8192);
    ok(clEnqueueFillBuffer(live.queue, high, &fill, 1, 100, 200, 0, NULL, NULL));
    memset(bytes + 4196, fill, 200);
    live_cycle();
    live_expect(low, 0, bytes, 8192);
    ok(clReleaseMemObject(low));
    live_cycle();
    live_expect(high, 0, bytes + 4096, 8192);
    ok(clReleaseMemObject(high));
}

static long long captured(void)
{
    long long bytes = live_suspend_captured();
    live_resume();
    return bytes;
}

/* Sub-buffers are no bytes of their own; a buffer beside is. */
static void test_sub_buffers_are_captured_with_their_parent_alone(void **state)
{
    unsigned char bytes[16384];
    cl_mem subs[4];
    live_pattern(bytes, sizeof bytes, 7);
    const long long before = captured();
    cl_mem parent = live_buffer(sizeof bytes, bytes);
    const long long alone = captured();
    for (size_t i = 0; i < 4; i++)
        subs[i] = sub_buffer(parent, 0, i * 2048, 8192);
    assert_int_equal(captured(), alone);
    ok(clEnqueueWriteBuffer(live.queue, subs[1], CL_TRUE, 0, 8192, bytes, 0, NULL, NULL));
    ok(clEnqueueWriteBuffer(live.queue, subs[3], CL_TRUE, 0, 8192, bytes, 0, NULL, NULL));
    ok(clReleaseMemObject(parent)); /* kept by its parts */
    assert_int_equal(captured(), alone);
    if (alone > before) { /* where contents are copied at all */
        assert_int_equal(alone - before, sizeof bytes);
        cl_mem other = live_buffer(1000, bytes);
        assert_int_equal(captured(), alone + 1000);
        ok(clReleaseMemObject(other));
    }
    live_expect(subs[1], 0, bytes, 4096);
    live_expect(subs[3], 0, bytes, 8192);
    for (int i = 0; i < 4; i++)
        ok(clReleaseMemObject(subs[i]));
    assert_int_equal(captured(), before);
}

static _Atomic int num_called;
static int order[8];

static void CL_CALLBACK note(cl_mem mem, void *data)
{
    int at = atomic_load(&num_called);
    order[at] = (int)(intptr_t)data;
    atomic_store(&num_called, at + 1);
}

static void test_destructor_callbacks_run_in_reverse_order(void **state)
{
    cl_mem mem = live_buffer(SIZE, NULL);
    atomic_store(&num_called, 0);
    for (intptr_t i = 1; i <= 3; i++)
        ok(clSetMemObjectDestructorCallback(mem, note, (void *)i));
    live_cycle();
    ok(clSetMemObjectDestructorCallback(mem, note, (void *)4));
    ok(clRetainMemObject(mem));
    ok(clReleaseMemObject(mem));
    live_cycle();
    assert_int_equal(atomic_load(&num_called), 0);
    ok(clReleaseMemObject(mem));
    live_wait_for(&num_called, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(order[i], 4 - i);
}

static void test_destructor_callback_of_a_buffer_released_while_suspended(void **state)
{
    cl_mem mem = live_buffer(SIZE, NULL);
    atomic_store(&num_called, 0);
    ok(clSetMemObjectDestructorCallback(mem, note, (void *)7));
    live_suspend();
    ok(clReleaseMemObject(mem));
    live_resume();
    live_wait_for(&num_called, 1);
    assert_int_equal(order[0], 7);
}

static void test_buffer_with_properties(void **state)
{
#ifdef CL_VERSION_3_0
    cl_int err;
    cl_mem_properties none[] = {0}, answer[4] = {1, 1, 1, 1};
    unsigned char bytes[SIZE];
    size_t size = 99;
    live_need(live.version >= 300);
    live_pattern(bytes, SIZE, 3);
    cl_mem mem =
        clCreateBufferWithProperties(live.context, none, CL_MEM_COPY_HOST_PTR, SIZE, bytes, &err);
    made(mem);
    live_cycle();
    live_expect(mem, 0, bytes, SIZE);
    ok(clGetMemObjectInfo(mem, CL_MEM_PROPERTIES, sizeof answer, answer, &size));
    assert_int_equal(size, sizeof none);
    assert_int_equal(answer[0], 0);
    ok(clReleaseMemObject(mem));
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_combination_of_flags_comes_back),
        cmocka_unit_test(test_host_access_flags_keep_their_errors),
        cmocka_unit_test(test_use_host_ptr_stays_the_programs_memory),
        cmocka_unit_test(test_memory_that_the_program_cannot_write),
        cmocka_unit_test(test_last_view_of_the_programs_memory_is_released_while_suspended),
        cmocka_unit_test(test_overlapping_sub_buffers_share_their_parents_bytes),
        cmocka_unit_test(test_sub_buffers_are_captured_with_their_parent_alone),
        cmocka_unit_test(test_destructor_callbacks_run_in_reverse_order),
        cmocka_unit_test(test_destructor_callback_of_a_buffer_released_while_suspended),
        cmocka_unit_test(test_buffer_with_properties),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
