/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of the memory of copies that were not seen to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/mman.h>

#include "shim/config.h"
#include "state/copier.h"
#include "state/staging.h"

#define PAGE ((uintptr_t)4096)

static cl_int answer, status_now;

static cl_int CL_API_CALL tell(cl_event event, cl_event_info param, size_t size, void *value,
                               size_t *size_ret)
{
    *(cl_int *)value = status_now;
    return answer;
}

static cl_int CL_API_CALL release(cl_event event)
{
    return CL_SUCCESS;
}

static const struct driver driver = {.clGetEventInfo = tell, .clReleaseEvent = release};

static bool is_mapped(const void *memory)
{
    unsigned char unused;
    return mincore((void *)((uintptr_t)memory & ~(PAGE - 1)), PAGE, &unused) == 0 ||
           errno != ENOMEM;
}

/* Waits for a copy into staging memory, and drops that; is it still there? */
static bool kept_after(cl_int code, cl_int status, int result)
{
    struct error err = {0};
    cl_event event = (cl_event)&err;
    answer = code;
    status_now = status;
    void *memory = staging_take(PAGE);
    assert_non_null(memory);
    bool late = false;
    assert_int_equal(copier_wait(&driver, &event, 1, PAGE, &late, &err), result);
    staging_drop();
    assert_int_equal(late, is_mapped(memory));
    return late;
}

static void test_memory_goes_with_copies_that_ended(void **state)
{
    assert_false(kept_after(CL_SUCCESS, CL_COMPLETE, 0));
    assert_false(kept_after(CL_SUCCESS, CL_OUT_OF_RESOURCES, -1));
}

/* A device that is gone: its driver knows nothing of the copy, which a thread of its is at. */
static void test_memory_stays_where_the_driver_does_not_answer(void **state)
{
    assert_true(kept_after(CL_OUT_OF_RESOURCES, CL_QUEUED, -1));
}

static void test_memory_stays_where_a_copy_does_not_end(void **state)
{
    config.copy_patience = 1;
    assert_true(kept_after(CL_SUCCESS, CL_RUNNING, -1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_goes_with_copies_that_ended),
        cmocka_unit_test(test_memory_stays_where_the_driver_does_not_answer),
        cmocka_unit_test(test_memory_stays_where_a_copy_does_not_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
