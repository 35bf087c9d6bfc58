/* SPDX-License-Identifier: Apache-2.0 */
/* What kernels print comes out once, in order, whatever was suspended in between: also of those
 * that were held back, and of those whose end nobody waited for. */
#include "live.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOM 65536 /* a pipe holds that much */

static const char *const source =
    "kernel void say(uint n, float x)\n"
    "{ printf(\"%u begins\\n\", n);\n"
    "  for (uint i = 0; i < 3; i++) printf(\"%3u.%u %s %5.2f %#x %c\\n\", n, i, \"of three\",\n"
    "                                      x + i, n * 16 + i, 'a' + i);\n"
    "  printf(\"%v4hld.\\n\", (int4)(n, -1, 2, 3)); }\n";

static char expected[ROOM];
static size_t length;
static int kept_stdout, pipe_ends[2];

/* From here on stdout is a pipe. */
static void begin(void)
{
    expected[0] = '\0';
    length = 0;
    fflush(stdout);
    assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
    kept_stdout = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    assert_true(kept_stdout >= 0);
    assert_int_equal(dup2(pipe_ends[1], STDOUT_FILENO), STDOUT_FILENO);
    close(pipe_ends[1]);
}

/* It is itself again, and what came through the pipe is what was expected. */
static void end(void)
{
    static char came[ROOM + 1];
    size_t size = 0;
    ssize_t more;
    fflush(stdout);
    dup2(kept_stdout, STDOUT_FILENO);
    close(kept_stdout);
    while (size < ROOM && (more = read(pipe_ends[0], came + size, ROOM - size)) > 0)
        size += (size_t)more;
    came[size] = '\0';
    close(pipe_ends[0]);
    assert_string_equal(came, expected);
}

static void expect(cl_uint n, float x)
{
    length += (size_t)snprintf(expected + length, ROOM - length, "%u begins\n", n);
    for (cl_uint i = 0; i < 3; i++)
        length += (size_t)snprintf(expected + length, ROOM - length, "%3u.%u %s %5.2f %#x %c\n", n,
                                   i, "of three", (double)x + i, n * 16 + i, 'a' + (int)i);
    length += (size_t)snprintf(expected + length, ROOM - length, "%u,-1,2,3.\n", n);
}

static void say(cl_command_queue queue, cl_kernel kernel, cl_uint n, const cl_event *after,
                cl_event *event)
{
    const size_t one = 1;
    const float x = (float)n / 4;
    ok(clSetKernelArg(kernel, 0, sizeof n, &n));
    ok(clSetKernelArg(kernel, 1, sizeof x, &x));
    ok(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, NULL, after ? 1 : 0, after, event));
    expect(n, x);
}

static void test_one_kernel_after_the_other(void **state)
{
    cl_kernel kernel = live_kernel(source, "say");
    begin();
    for (cl_uint n = 0; n < 40; n++) {
        say(live.queue, kernel, n, NULL, NULL);
        if (n % 10 == 3) {
            ok(clFinish(live.queue));
            live_cycle();
        } else if (n % 10 == 8) {
            live_cycle(); /* what was enqueued may not have begun */
        }
    }
    ok(clFinish(live.queue));
    end();
    ok(clReleaseKernel(kernel));
}

/* Nothing is left unsaid by a program that stays suspended. */
static void test_all_is_said_before_the_driver_goes(void **state)
{
    cl_kernel kernel = live_kernel(source, "say");
    begin();
    for (cl_uint n = 0; n < 5; n++)
        say(live.queue, kernel, n, NULL, NULL);
    if (!live_commanded())
        ok(clFinish(live.queue));
    live_suspend();
    end();
    live_resume();
    ok(clReleaseKernel(kernel));
}

static void test_held_ones_on_two_queues(void **state)
{
    cl_int err;
    cl_event chain[12];
    cl_kernel kernel = live_kernel(source, "say");
    cl_command_queue other = clCreateCommandQueue(live.context, live.device, 0, &err);
    made(other);
    chain[0] = clCreateUserEvent(live.context, &err);
    made(chain[0]);
    begin();
    for (cl_uint n = 1; n < 12; n++) {
        say(n % 2 ? live.queue : other, kernel, n, &chain[n - 1], &chain[n]);
        if (n % 4 == 0)
            live_cycle();
    }
    ok(clSetUserEventStatus(chain[0], CL_COMPLETE));
    live_cycle();
    ok(clFinish(live.queue));
    ok(clFinish(other));
    end();
    for (int i = 0; i < 12; i++)
        ok(clReleaseEvent(chain[i]));
    ok(clReleaseCommandQueue(other));
    ok(clReleaseKernel(kernel));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_kernel_after_the_other),
        cmocka_unit_test(test_all_is_said_before_the_driver_goes),
        cmocka_unit_test(test_held_ones_on_two_queues),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
