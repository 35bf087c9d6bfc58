/* SPDX-License-Identifier: Apache-2.0 */
/* What is dropped while the gate is closed waits for it, and can be kept from being given back with
 * the others: a thread may be in a call of the driver's with it yet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/error.h"
#include "shim/gate.h"
#include "state/sampler.h"

static int num_released;
static cl_sampler last_released;
static char reals[3];

static cl_int CL_API_CALL release_sampler(cl_sampler sampler)
{
    num_released++;
    last_released = sampler;
    return CL_SUCCESS;
}

static const struct driver driver = {.clReleaseSampler = release_sampler};
static struct context context = {.object = {.driver = &driver, .holds = 100}};

static struct sampler *make(void *real)
{
    struct sampler *sampler = sampler_create(&context, NULL);
    assert_non_null(sampler);
    sampler->object.real = real;
    object_publish(sampler);
    return sampler;
}

static void test_one_is_kept_from_the_others(void **state)
{
    struct sampler *samplers[3];
    struct error err = {0};
    for (int i = 0; i < 3; i++)
        samplers[i] = make(&reals[i]);
    assert_int_equal(gate_close(now_ns() + 1000000000, &err), 0);
    for (int i = 0; i < 3; i++)
        object_drop(samplers[i]);
    assert_int_equal(num_released, 0);
    assert_true(object_take_dying(&samplers[1]->object));
    assert_false(object_take_dying(&samplers[1]->object));
    assert_true(object_any_dying());
    gate_open();
    object_reap_late();
    assert_int_equal(num_released, 2);
    assert_false(object_any_dying());
    object_end(&samplers[1]->object);
    assert_int_equal(num_released, 3);
    assert_ptr_equal(last_released, &reals[1]);
}

static int set_up(void **state)
{
    assert_true(object_init(NULL) > 0);
    gate_init(NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_is_kept_from_the_others),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
