/* SPDX-License-Identifier: Apache-2.0 */
/* A driver's call that takes long holds up nobody but who has made it: not those who have commands
 * held back, nor who unmaps what the driver will not tell the end of, nor who asks about a program
 * that is being built. The test driver is told to hang (SHADOWCL_TEST_FAULTS). */
#include "live.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE 4096

static char calls[512]; /* a file: what the driver was called with since it was told something */

static void tell(const char *lines)
{
    char fresh[512];
    const char *path = getenv("SHADOWCL_TEST_FAULTS");
    assert_non_null(path);
    snprintf(fresh, sizeof fresh, "%s.new", path ? path : "");
    snprintf(calls, sizeof calls, "%s.calls", path ? path : "");
    unlink(calls);
    FILE *file = fopen(fresh, "w");
    assert_non_null(file);
    fprintf(file, "%slog %s\n", lines, calls);
    fclose(file);
    assert_int_equal(rename(fresh, path ? path : ""), 0);
}

static bool was_called(const char *name)
{
    char line[128], wanted[128];
    bool found = false;
    snprintf(wanted, sizeof wanted, "%s\n", name);
    FILE *file = fopen(calls, "r");
    while (file && !found && fgets(line, sizeof line, file))
        found = strcmp(line, wanted) == 0;
    if (file)
        fclose(file);
    return found;
}

/* Until somebody is in that call, or has been. */
static void wait_for_call(const char *name)
{
    bool found = false;
    for (int i = 0; i < 5000 && !found; i++) {
        live_sleep(2);
        found = was_called(name);
    }
    assert_true(found);
}

/* One who is in a call of the driver's, and what it came to. */
struct caller {
    cl_int (*act)(void *data);
    void *data;
    pthread_t thread;
    _Atomic int over;
    cl_int result;
};

static void *call(void *data)
{
    struct caller *caller = data;
    caller->result = caller->act(caller->data);
    caller->over = 1;
    return NULL;
}

static void start(struct caller *caller, cl_int (*act)(void *data), void *data)
{
    *caller = (struct caller){.act = act, .data = data};
    assert_int_equal(pthread_create(&caller->thread, NULL, call, caller), 0);
}

static void end(struct caller *caller, cl_int expected)
{
    assert_int_equal(pthread_join(caller->thread, NULL), 0);
    assert_int_equal(caller->result, expected);
}

/* Everything that wants the lock of held commands: a command is held, has a callback, and goes. */
static cl_int hold_and_let_go(void *unused)
{
    cl_command_queue queue = live_queue();
    cl_event gate = live_user_event(), done;
    cl_int err = clEnqueueMarkerWithWaitList(queue, 1, &gate, &done);
    if (err == CL_SUCCESS)
        err = clSetUserEventStatus(gate, CL_COMPLETE);
    if (err == CL_SUCCESS)
        err = clWaitForEvents(1, &done);
    clReleaseEvent(done);
    clReleaseEvent(gate);
    clReleaseCommandQueue(queue);
    return err;
}

/* While somebody is in that call, which he makes by `act`; what that comes to. */
static void expect_not_held_up(const char *name, cl_int (*act)(void *data), void *data,
                               cl_int expected)
{
    char line[128];
    struct caller slow, other;
    snprintf(line, sizeof line, "hang %s 1\n", name);
    tell(line);
    start(&slow, act, data);
    wait_for_call(name);
    start(&other, hold_and_let_go, NULL);
    live_wait_for(&other.over, 1);
    assert_int_equal(slow.over, 0);
    tell("");
    end(&slow, expected);
    end(&other, CL_SUCCESS);
}

struct copy {
    cl_mem from, to;
    cl_event gate;
};

/* A command on nothing, of which the driver is asked at once where it gets it later. */
static cl_int copy_nothing(void *data)
{
    const struct copy *copy = data;
    return clEnqueueCopyBuffer(live.queue, copy->from, copy->to, 0, 0, 0, copy->gate ? 1 : 0,
                               copy->gate ? &copy->gate : NULL, NULL);
}

static void test_question_holds_up_nobody(void **state)
{
    struct copy copy = {live_buffer(SIZE, NULL), live_buffer(SIZE, NULL), NULL};
    cl_int answer = copy_nothing(&copy);
    copy.gate = live_user_event();
    expect_not_held_up("clCreateCommandQueue", copy_nothing, &copy, answer);
    live_cycle();
    ok(clSetUserEventStatus(copy.gate, CL_COMPLETE));
    ok(clFinish(live.queue));
    ok(clReleaseEvent(copy.gate));
    ok(clReleaseMemObject(copy.from));
    ok(clReleaseMemObject(copy.to));
}

static _Atomic int num_told;

static void CL_CALLBACK count_told(cl_event event, cl_int status, void *data)
{
    atomic_fetch_add(&num_told, 1);
}

static cl_int listen_to(void *event)
{
    return clSetEventCallback(event, CL_COMPLETE, count_told, NULL);
}

static void test_callback_holds_up_nobody(void **state)
{
    cl_event done;
    atomic_store(&num_told, 0);
    ok(clEnqueueMarkerWithWaitList(live.queue, 0, NULL, &done));
    expect_not_held_up("clSetEventCallback", listen_to, done, CL_SUCCESS);
    live_wait_for(&num_told, 1);
    ok(clReleaseEvent(done));
}

static cl_int let_go(void *gate)
{
    return clSetUserEventStatus(gate, CL_COMPLETE);
}

/* Two of one event, which are told to the driver one after the other; a third comes meanwhile. */
static void test_callbacks_at_a_hand_over_hold_up_nobody(void **state)
{
    cl_event gate = live_user_event(), done;
    struct caller slow, other;
    atomic_store(&num_told, 0);
    ok(clEnqueueMarkerWithWaitList(live.queue, 1, &gate, &done));
    ok(listen_to(done));
    ok(listen_to(done));
    live_cycle();
    tell("hang clSetEventCallback 1\n");
    start(&slow, let_go, gate);
    wait_for_call("clSetEventCallback");
    start(&other, hold_and_let_go, NULL);
    live_wait_for(&other.over, 1);
    ok(clWaitForEvents(1, &done));
    ok(listen_to(done));
    live_wait_for(&num_told, 1);
    assert_int_equal(slow.over, 0);
    tell("");
    end(&slow, CL_SUCCESS);
    end(&other, CL_SUCCESS);
    live_wait_for(&num_told, 3);
    live_cycle();
    live_sleep(20);
    assert_int_equal(num_told, 3);
    ok(clReleaseEvent(done));
    ok(clReleaseEvent(gate));
}

struct unmap {
    cl_mem mem;
    unsigned char *at;
    cl_event first, done;
};

static cl_int unmap(void *data)
{
    struct unmap *it = data;
    return clEnqueueUnmapMemObject(live.queue, it->mem, it->at, 1, &it->first, &it->done);
}

static void expect_map_count(cl_mem mem, cl_uint expected)
{
    cl_uint count = 99;
    for (int i = 0; i < 2500 && count != expected; i++) {
        ok(clGetMemObjectInfo(mem, CL_MEM_MAP_COUNT, sizeof count, &count, NULL));
        live_sleep(2);
    }
    assert_int_equal(count, expected);
}

static const unsigned char nine = 9;

/* Of what stalls; with a suspend, when that waits for it. */
static cl_int end_stall(void *in_suspend)
{
    if (in_suspend)
        wait_for_call("clEnqueueMarkerWithWaitList");
    tell("");
    return CL_SUCCESS;
}

/* A buffer of these bytes, in the mapped region of which some are others, now in `bytes` too. */
static struct unmap map_and_write(unsigned char *bytes)
{
    cl_int err;
    live_pattern(bytes, SIZE, 50);
    struct unmap it = {.mem = live_buffer(SIZE, bytes)};
    it.at = clEnqueueMapBuffer(live.queue, it.mem, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, SIZE, 0,
                               NULL, NULL, &err);
    made(it.at);
    memset(it.at + 100, nine, 1000);
    memset(bytes + 100, nine, 1000);
    return it;
}

/* Behind a kernel that does not begin. With `fails` the unmap is carried out in no way, and the
 * region stays mapped. With `cycle` it comes to its end when the suspend has closed the gate.
 * `callbacks`: what becomes of the driver's. */
static void unmap_that(bool fails, bool cycle, const char *callbacks)
{
    static const char *source = "kernel void put(global uchar *x) { x[get_global_id(0)] = 7; }";
    unsigned char bytes[SIZE];
    char lines[256];
    struct caller caller;
    struct unmap it = map_and_write(bytes);
    cl_mem other = live_buffer(64, NULL);
    cl_kernel kernel = live_kernel(source, "put");
    ok(clSetKernelArg(kernel, 0, sizeof other, &other));
    snprintf(lines, sizeof lines, "stall 1\n%s\n%s", callbacks,
             fails ? "spoil clEnqueueUnmapMemObject 1 -5\nspoil clEnqueueWriteBuffer 1 -5\n" : "");
    tell(lines);
    live_launch(live.queue, kernel, 64);
    ok(clEnqueueMarkerWithWaitList(live.queue, 0, NULL, &it.first));
    start(&caller, unmap, &it);
    live_wait_for(&caller.over, 1);
    end(&caller, CL_SUCCESS);
    tell("stall 1\n"); /* and a list of calls with none in it */
    start(&caller, end_stall, cycle ? &it : NULL);
    if (cycle)
        live_cycle();
    end(&caller, CL_SUCCESS);
    expect_map_count(it.mem, fails);
    if (fails)
        ok(clEnqueueUnmapMemObject(live.queue, it.mem, it.at, 0, NULL, NULL));
    expect_map_count(it.mem, 0);
    live_expect(it.mem, 0, bytes, SIZE);
    live_cycle();
    live_expect(it.mem, 0, bytes, SIZE);
    ok(clReleaseEvent(it.first));
    ok(clReleaseEvent(it.done));
    ok(clReleaseKernel(kernel));
    ok(clReleaseMemObject(other));
    ok(clReleaseMemObject(it.mem));
}

static void unmap_in_every_way(const char *callbacks)
{
    unmap_that(false, false, callbacks);
    unmap_that(false, true, callbacks);
    unmap_that(true, false, callbacks);
    unmap_that(true, true, callbacks);
}

static void test_unmap_whose_end_is_not_told_does_not_wait(void **state)
{
    unmap_in_every_way("fail clSetEventCallback 1 -6");
}

/* The commands have all ended by then, so that a suspend does not wait any more. */
static void test_unmap_whose_end_is_told_late(void **state)
{
    unmap_in_every_way("late 300");
}

/* Any of a suspend's questions fails, among them that for the end of an unmap. It is refused, or is
 * not, and nothing is lost. */
static void test_question_about_an_unmap_fails(void **state)
{
    unsigned char bytes[SIZE];
    char lines[64];
    unsigned refused = 0;
    for (int number = 1; number <= 6; number++) {
        struct unmap it = map_and_write(bytes);
        ok(clEnqueueMarkerWithWaitList(live.queue, 0, NULL, &it.first));
        tell("late 500\nspoil clEnqueueUnmapMemObject 1 -5\nspoil clEnqueueWriteBuffer 1 -5\n");
        ok(unmap(&it));
        snprintf(lines, sizeof lines, "fail clGetEventInfo %d -5\n", number);
        tell(lines);
        bool suspended = live_try_suspend();
        tell("");
        if (suspended)
            live_resume();
        refused += !suspended;
        expect_map_count(it.mem, 1);
        live_cycle();
        ok(clEnqueueUnmapMemObject(live.queue, it.mem, it.at, 0, NULL, NULL));
        expect_map_count(it.mem, 0);
        live_expect(it.mem, 0, bytes, SIZE);
        ok(clReleaseEvent(it.first));
        ok(clReleaseEvent(it.done));
        ok(clReleaseMemObject(it.mem));
    }
    assert_in_range(refused, 2, 6);
}

/* A program that is built again while others ask about it. */
static cl_program program;

static cl_int build_again(void *options)
{
    return clBuildProgram(program, 1, &live.device, options, NULL, NULL);
}

static cl_build_status build_status(void)
{
    cl_build_status status = 99;
    ok(clGetProgramBuildInfo(program, live.device, CL_PROGRAM_BUILD_STATUS, sizeof status, &status,
                             NULL));
    return status;
}

static char two[] = "-DX=2";

/* What it was stays what is told, but for the status; and nobody waits. */
static void test_questions_do_not_wait_for_a_build(void **state)
{
    static const char *source = "kernel void f(global int *x) { *x = X; }";
    char text[256] = "";
    size_t num_kernels = 0;
    struct caller builder;
    program = live_program(source, "-DX=1");
    cl_kernel other = live_kernel("kernel void g(global int *x, int y) { *x = y; }", "g");
    tell("hang clBuildProgram 1\n");
    start(&builder, build_again, two);
    wait_for_call("clBuildProgram");
    assert_int_equal(build_status(), CL_BUILD_IN_PROGRESS);
    ok(clGetProgramBuildInfo(program, live.device, CL_PROGRAM_BUILD_OPTIONS, sizeof text, text,
                             NULL));
    assert_string_equal(text, "-DX=1");
    ok(clGetProgramInfo(program, CL_PROGRAM_NUM_KERNELS, sizeof num_kernels, &num_kernels, NULL));
    assert_int_equal(num_kernels, 1);
    ok(clGetProgramInfo(program, CL_PROGRAM_KERNEL_NAMES, sizeof text, text, NULL));
    assert_string_equal(text, "f");
    ok(clGetProgramInfo(program, CL_PROGRAM_SOURCE, sizeof text, text, NULL));
    assert_string_equal(text, source);
    ok(clGetKernelArgInfo(other, 1, CL_KERNEL_ARG_NAME, sizeof text, text, NULL));
    assert_string_equal(text, "y");
    assert_int_equal(builder.over, 0);
    tell("");
    end(&builder, CL_SUCCESS);
    assert_int_equal(build_status(), CL_BUILD_SUCCESS);
    ok(clGetProgramBuildInfo(program, live.device, CL_PROGRAM_BUILD_OPTIONS, sizeof text, text,
                             NULL));
    assert_string_equal(text, two);
    ok(clReleaseKernel(other));
    ok(clReleaseProgram(program));
}

static cl_int ask_size(void *size)
{
    return clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof(size_t), size, NULL);
}

/* They are those from before it, or those from after it. */
static void test_binaries_that_are_asked_for_when_it_is_built_again(void **state)
{
    size_t size = 0;
    struct caller builder, asker;
    program = live_program("kernel void f(global int *x) { *x = X; }", "-DX=1");
    tell("hang clGetProgramInfo 1\n");
    start(&asker, ask_size, &size);
    wait_for_call("clGetProgramInfo");
    start(&builder, build_again, two);
    for (int i = 0; i < 100 && !builder.over; i++)
        live_sleep(5);
    tell("");
    end(&asker, CL_SUCCESS);
    end(&builder, CL_SUCCESS);
    assert_true(size > 0);
    ok(clReleaseProgram(program));
}

/* One who takes a kernel of the program while that is built. */
struct taker {
    cl_kernel kernel;
    cl_mem out;
};

static cl_int take_kernel(void *data)
{
    struct taker *taker = data;
    cl_int err;
    taker->kernel = clCreateKernel(program, "f", &err);
    return err;
}

static void expect_written(const struct taker *taker, cl_int x)
{
    const cl_int nothing = 0;
    const size_t one = 1;
    ok(clEnqueueFillBuffer(live.queue, taker->out, &nothing, sizeof nothing, 0, sizeof nothing, 0,
                           NULL, NULL));
    ok(clSetKernelArg(taker->kernel, 0, sizeof taker->out, &taker->out));
    ok(clEnqueueNDRangeKernel(live.queue, taker->kernel, 1, NULL, &one, NULL, 0, NULL, NULL));
    live_expect(taker->out, 0, &x, sizeof x);
}

static void start_builder(struct caller *builder, const char *lines)
{
    tell(lines);
    start(builder, build_again, two);
    wait_for_call("clBuildProgram");
}

static void start_taker(struct caller *creator, struct taker *taker, const char *lines)
{
    tell(lines);
    start(creator, take_kernel, taker);
    wait_for_call("clCreateKernel");
}

static void make_loaded(struct taker *taker)
{
    *taker = (struct taker){.out = live_buffer(sizeof(cl_int), NULL)};
    program = live_program("kernel void f(global int *x) { *x = X; }", "-DX=1");
    live_cycle();
}

static void drop_loaded(struct taker *taker)
{
    ok(clReleaseKernel(taker->kernel));
    ok(clReleaseMemObject(taker->out));
    ok(clReleaseProgram(program));
}

/* After a resume the driver has the program from its binary, and a build makes another of its
 * source. Who was in the driver with the first has a program there all the same. */
static void test_build_takes_no_program_from_another_thread(void **state)
{
    struct caller builder, creator;
    struct taker taker;
    make_loaded(&taker);
    start_taker(&creator, &taker, "hang clCreateKernel 1\n");
    start(&builder, build_again, two);
    end(&builder, CL_SUCCESS);
    assert_int_equal(creator.over, 0);
    tell("");
    end(&creator, CL_SUCCESS);
    live_cycle();
    expect_written(&taker, 2);
    drop_loaded(&taker);
}

/* One that the driver refuses to begin leaves the program as it was, also to who comes meanwhile.
 */
static void test_build_that_does_not_begin_takes_no_program_either(void **state)
{
    struct caller builder, creator;
    struct taker taker;
    make_loaded(&taker);
    start_builder(&builder, "hang clBuildProgram 1\nfail clBuildProgram 1 -6\n");
    start_taker(&creator, &taker, "hang clBuildProgram 1\nhang clCreateKernel 1\n");
    tell("hang clCreateKernel 1\n");
    end(&builder, CL_OUT_OF_HOST_MEMORY);
    assert_int_equal(creator.over, 0);
    tell("");
    end(&creator, CL_SUCCESS);
    expect_written(&taker, 1);
    live_cycle();
    expect_written(&taker, 1);
    drop_loaded(&taker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_question_holds_up_nobody),
        cmocka_unit_test(test_callback_holds_up_nobody),
        cmocka_unit_test(test_callbacks_at_a_hand_over_hold_up_nobody),
        cmocka_unit_test(test_unmap_whose_end_is_not_told_does_not_wait),
        cmocka_unit_test(test_unmap_whose_end_is_told_late),
        cmocka_unit_test(test_question_about_an_unmap_fails),
        cmocka_unit_test(test_questions_do_not_wait_for_a_build),
        cmocka_unit_test(test_binaries_that_are_asked_for_when_it_is_built_again),
        cmocka_unit_test(test_build_takes_no_program_from_another_thread),
        cmocka_unit_test(test_build_that_does_not_begin_takes_no_program_either),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
