/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver says of commands on nothing, and of sub-buffers that begin where its device can't
 * have them begin, it says of those that hang on an unset user event too, at their call. Drivers
 * differ: what is right is what this one says of a command that does not wait. (The test driver has
 * the errors of the specification where it is told: `align=`, `noempty`.) */
#include "live.h"

#include <stdlib.h>
#include <string.h>

#define SIZE 16384

static const char *const source =
    "kernel void put(global uint *to, uint v) { to[get_global_id(0)] = v; }\n";

static cl_mem mem, other, part;
static cl_kernel kernel;
static cl_event gate; /* unset */
static size_t odd;    /* where `part` begins */
static unsigned char bytes[SIZE], there[SIZE];
static int failed; /* comparisons; told at the end, when nothing waits any more */

static void make_all(void)
{
    cl_int err;
    live_pattern(bytes, SIZE, 3);
    mem = live_buffer(SIZE, bytes);
    other = live_buffer(SIZE, bytes);
    kernel = live_kernel(source, "put");
    ok(clSetKernelArg(kernel, 0, sizeof mem, &mem));
    ok(clSetKernelArg(kernel, 1, sizeof(cl_uint), &(cl_uint){7}));
    gate = clCreateUserEvent(live.context, &err);
    made(gate);
    failed = 0;
}

static void release_all(void)
{
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    ok(clFinish(live.queue));
    /* What is written is what was there: nothing else may have been. */
    live_expect(mem, 0, bytes, SIZE);
    live_expect(other, 0, bytes, SIZE);
    ok(clReleaseEvent(gate));
    ok(clReleaseKernel(kernel));
    ok(clReleaseMemObject(mem));
    ok(clReleaseMemObject(other));
    assert_int_equal(failed, 0);
}

/* What is asked: once at once, once behind the event. */
typedef cl_int try(cl_uint num_waits, const cl_event *waits, cl_event *event);

static cl_int read_nothing(cl_uint num_waits, const cl_event *waits, cl_event *event)
{
    return clEnqueueReadBuffer(live.queue, mem, CL_FALSE, 8, 0, there, num_waits, waits, event);
}

static cl_int write_nothing(cl_uint num_waits, const cl_event *waits, cl_event *event)
{
    return clEnqueueWriteBuffer(live.queue, mem, CL_FALSE, 8, 0, bytes, num_waits, waits, event);
}

static cl_int copy_nothing(cl_uint num_waits, const cl_event *waits, cl_event *event)
{
    return clEnqueueCopyBuffer(live.queue, mem, other, 8, 16, 0, num_waits, waits, event);
}

static cl_int fill_nothing(cl_uint num_waits, const cl_event *waits, cl_event *event)
{
    return clEnqueueFillBuffer(live.queue, mem, bytes, 4, 8, 0, num_waits, waits, event);
}

static cl_int launch_nothing(cl_uint num_waits, const cl_event *waits, cl_event *event)
{
    const size_t items[2] = {4, 0};
    return clEnqueueNDRangeKernel(live.queue, kernel, 2, NULL, items, NULL, num_waits, waits,
                                  event);
}

static const size_t zero[3] = {0, 0, 0}, row[3] = {8, 1, 1};

static cl_int read_part(cl_uint num_waits, const cl_event *waits, cl_event *event)
{
    return clEnqueueReadBuffer(live.queue, part, CL_FALSE, 0, 8, there, num_waits, waits, event);
}

static cl_int write_part(cl_uint num_waits, const cl_event *waits, cl_event *event)
{
    return clEnqueueWriteBuffer(live.queue, part, CL_FALSE, 0, 8, bytes + odd, num_waits, waits,
                                event);
}

static cl_int copy_from_part(cl_uint num_waits, const cl_event *waits, cl_event *event)
{
    return clEnqueueCopyBuffer(live.queue, part, other, 0, odd, 8, num_waits, waits, event);
}

static cl_int copy_to_part(cl_uint num_waits, const cl_event *waits, cl_event *event)
{
    return clEnqueueCopyBuffer(live.queue, other, part, odd, 0, 8, num_waits, waits, event);
}

static cl_int fill_part(cl_uint num_waits, const cl_event *waits, cl_event *event)
{
    return clEnqueueFillBuffer(live.queue, part, bytes + odd, 8, 0, 8, num_waits, waits, event);
}

static cl_int read_rows(cl_uint num_waits, const cl_event *waits, cl_event *event)
{
    return clEnqueueReadBufferRect(live.queue, part, CL_FALSE, zero, zero, row, 0, 0, 0, 0, there,
                                   num_waits, waits, event);
}

static cl_int write_rows(cl_uint num_waits, const cl_event *waits, cl_event *event)
{
    return clEnqueueWriteBufferRect(live.queue, part, CL_FALSE, zero, zero, row, 0, 0, 0, 0,
                                    bytes + odd, num_waits, waits, event);
}

static cl_int copy_rows(cl_uint num_waits, const cl_event *waits, cl_event *event)
{
    const size_t origin[3] = {odd, 0, 0};
    return clEnqueueCopyBufferRect(live.queue, part, other, zero, origin, row, 0, 0, 0, 0,
                                   num_waits, waits, event);
}

static cl_int map_part(cl_uint num_waits, const cl_event *waits, cl_event *event)
{
    cl_int err;
    void *p = clEnqueueMapBuffer(live.queue, part, CL_FALSE, CL_MAP_READ, 0, 8, num_waits, waits,
                                 event, &err);
    if (p)
        ok(clEnqueueUnmapMemObject(live.queue, part, p, 0, NULL, NULL));
    return err;
}

static cl_int launch_on_part(cl_uint num_waits, const cl_event *waits, cl_event *event)
{
    static const size_t items = 1;
    cl_uint value;
    memcpy(&value, bytes + odd, sizeof value);
    ok(clSetKernelArg(kernel, 0, sizeof part, &part));
    ok(clSetKernelArg(kernel, 1, sizeof value, &value));
    return clEnqueueNDRangeKernel(live.queue, kernel, 1, NULL, &items, NULL, num_waits, waits,
                                  event);
}

static const struct {
    const char *name;
    try *try;
    cl_int error; /* the specification's */
} empty[] =
    {
        {"read", read_nothing, CL_INVALID_VALUE},
        {"write", write_nothing, CL_INVALID_VALUE},
        {"copy", copy_nothing, CL_INVALID_VALUE},
        {"fill", fill_nothing, CL_INVALID_VALUE},
        {"launch", launch_nothing, CL_INVALID_GLOBAL_WORK_SIZE},
},
  misaligned[] = {
      {"read", read_part, CL_MISALIGNED_SUB_BUFFER_OFFSET},
      {"write", write_part, CL_MISALIGNED_SUB_BUFFER_OFFSET},
      {"copy from", copy_from_part, CL_MISALIGNED_SUB_BUFFER_OFFSET},
      {"copy to", copy_to_part, CL_MISALIGNED_SUB_BUFFER_OFFSET},
      {"fill", fill_part, CL_MISALIGNED_SUB_BUFFER_OFFSET},
      {"read rows", read_rows, CL_MISALIGNED_SUB_BUFFER_OFFSET},
      {"write rows", write_rows, CL_MISALIGNED_SUB_BUFFER_OFFSET},
      {"copy rows", copy_rows, CL_MISALIGNED_SUB_BUFFER_OFFSET},
      {"map", map_part, CL_MISALIGNED_SUB_BUFFER_OFFSET},
      {"launch", launch_on_part, CL_MISALIGNED_SUB_BUFFER_OFFSET},
};

static void compare(const char *name, try *try, bool told, cl_int error)
{
    cl_event event = NULL;
    cl_int at_once = try(0, NULL, NULL), held = try(1, &gate, &event);
    if (held != at_once || (told && held != error) || (held == CL_SUCCESS) != (event != NULL)) {
        print_error("%s: %d at once, %d behind an unset event, %d wanted\n", name, at_once, held,
                    told ? error : at_once);
        failed++;
    }
    if (event)
        ok(clReleaseEvent(event));
}

static void test_commands_on_nothing(void **state)
{
    make_all();
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        compare(empty[i].name, empty[i].try, live_has_cap("noempty"), empty[i].error);
        live_cycle();
    }
    release_all();
}

static void test_svm_commands_on_nothing(void **state)
{
    make_all();
    void *pointer = live.version >= 200 ? clSVMAlloc(live.context, CL_MEM_READ_WRITE, 64, 0) : NULL;
    if (pointer) {
        cl_int at_once = clEnqueueSVMMemcpy(live.queue, CL_FALSE, pointer, bytes, 0, 0, NULL, NULL);
        assert_int_equal(
            clEnqueueSVMMemcpy(live.queue, CL_FALSE, pointer, bytes, 0, 1, &gate, NULL), at_once);
        at_once = clEnqueueSVMMemFill(live.queue, pointer, bytes, 4, 0, 0, NULL, NULL);
        assert_int_equal(clEnqueueSVMMemFill(live.queue, pointer, bytes, 4, 0, 1, &gate, NULL),
                         at_once);
    }
    release_all();
    if (pointer)
        clSVMFree(live.context, pointer);
    live_need(pointer);
}

/* NULL: the driver has it not begin there, or says nothing of it anyway. */
static cl_mem create_part(size_t place)
{
    const cl_buffer_region region = {place, 64};
    cl_uint bits = 0;
    cl_int err;
    ok(clGetDeviceInfo(live.device, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof bits, &bits, NULL));
    odd = place;
    if (place % (bits / 8) == 0)
        return NULL;
    return clCreateSubBuffer(mem, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
}

static void test_sub_buffers_that_begin_elsewhere(void **state)
{
    static const size_t places[] = {4, 1024};
    make_all();
    part = NULL;
    for (size_t i = 0; i < sizeof places / sizeof *places && !part; i++)
        part = create_part(places[i]);
    for (size_t i = 0; part && i < sizeof misaligned / sizeof *misaligned; i++) {
        compare(misaligned[i].name, misaligned[i].try, live_has_cap("align="), misaligned[i].error);
        live_cycle();
    }
    release_all();
    if (part)
        ok(clReleaseMemObject(part));
    assert_true(part || !live_has_cap("align="));
    live_need(part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_on_nothing),
        cmocka_unit_test(test_svm_commands_on_nothing),
        cmocka_unit_test(test_sub_buffers_that_begin_elsewhere),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
