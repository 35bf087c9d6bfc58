/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a command buffer's last run, which a driver may learn of after its queue has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "shim/gate.h"
#include "state/command_buffer.h"

static int pending; /* how often the driver says so yet */
static int asked;

static cl_int CL_API_CALL ask(cl_command_buffer_khr buffer, cl_command_buffer_info_khr param,
                              size_t size, void *value, size_t *size_ret)
{
    const cl_command_buffer_state_khr state = asked++ < pending
                                                  ? CL_COMMAND_BUFFER_STATE_PENDING_KHR
                                                  : CL_COMMAND_BUFFER_STATE_EXECUTABLE_KHR;
    assert_int_equal(param, CL_COMMAND_BUFFER_STATE_KHR);
    assert_int_equal(size, sizeof state);
    memcpy(value, &state, sizeof state);
    return CL_SUCCESS;
}

static int capture(int times, double seconds, struct error *err)
{
    struct command_buffer_calls calls = {.clGetCommandBufferInfoKHR = ask};
    struct command_buffer buffer = {
        .object.real = (void *)0x1000, .calls = &calls, .finalized = true};
    pending = times;
    asked = 0;
    return command_buffer_capture(&buffer, now_ns() + (int64_t)(seconds * 1e9), err);
}

static void test_run_that_does_not_end_is_refused(void **state)
{
    struct error err = {0};
    int64_t start = now_ns();
    assert_int_equal(capture(1000000, 0.05, &err), -1);
    assert_true(ms_since(start) >= 50);
    assert_string_equal(err.reason, "its last run has not ended at the deadline");
    assert_non_null(strstr(err.todo, "--deadline"));
}

static void test_end_is_waited_for(void **state)
{
    struct error err = {0};
    assert_int_equal(capture(0, 0, &err), 0);
    assert_int_equal(asked, 1);
    assert_int_equal(capture(20, 60, &err), 0);
    assert_int_equal(asked, 21);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_that_does_not_end_is_refused),
        cmocka_unit_test(test_end_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
