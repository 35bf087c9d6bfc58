/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel arguments: what is told apart, recorded, held and set again, over a driver that only
 * remembers what it was given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "state/kernel.h"
#include "state/mem.h"
#include "state/sampler.h"
#include "state/svm.h"

#define NUM_ARGS 4

static unsigned char given[NUM_ARGS][256]; /* what the driver got last */
static size_t given_size[NUM_ARGS];
static bool given_null[NUM_ARGS];
static cl_int answer;      /* of clSetKernelArg */
static bool have_arg_info; /* argument 0 a buffer, 1 a sampler, 2 a long, 3 a typedef */
static const char *buffer_type;
static cl_kernel_arg_address_qualifier buffer_space;
static int released;

static cl_int CL_API_CALL fake_set_arg(cl_kernel kernel, cl_uint index, size_t size,
                                       const void *value)
{
    if (answer != CL_SUCCESS)
        return answer;
    given_size[index] = size;
    given_null[index] = !value;
    if (value)
        memcpy(given[index], value, size);
    return CL_SUCCESS;
}

static cl_int put(const void *bytes, size_t size, void *value, size_t *size_ret)
{
    if (value)
        memcpy(value, bytes, size);
    if (size_ret)
        *size_ret = size;
    return CL_SUCCESS;
}

static cl_int CL_API_CALL fake_kernel_info(cl_kernel kernel, cl_kernel_info param, size_t size,
                                           void *value, size_t *size_ret)
{
    cl_uint num_args = NUM_ARGS;
    if (param == CL_KERNEL_NUM_ARGS)
        return put(&num_args, sizeof num_args, value, size_ret);
    return put("", 1, value, size_ret);
}

static cl_int CL_API_CALL fake_arg_info(cl_kernel kernel, cl_uint index, cl_kernel_arg_info param,
                                        size_t size, void *value, size_t *size_ret)
{
    const char *const types[] = {buffer_type, "sampler_t", "long", "mine"};
    cl_kernel_arg_address_qualifier address =
        index == 0 ? buffer_space : CL_KERNEL_ARG_ADDRESS_PRIVATE;
    if (!have_arg_info)
        return CL_KERNEL_ARG_INFO_NOT_AVAILABLE;
    if (param == CL_KERNEL_ARG_ADDRESS_QUALIFIER)
        return put(&address, sizeof address, value, size_ret);
    if (param == CL_KERNEL_ARG_TYPE_NAME)
        return put(types[index], strlen(types[index]) + 1, value, size_ret);
    return put("", 1, value, size_ret);
}

static cl_int CL_API_CALL fake_set_svm(cl_kernel kernel, cl_uint index, const void *pointer)
{
    return CL_SUCCESS;
}

static uint64_t given_exec;
static const void *no_svm; /* what the driver takes for no pointer of its own */
static cl_int exec_answer; /* for all others */

static cl_int CL_API_CALL fake_set_exec(cl_kernel kernel, cl_kernel_exec_info param, size_t size,
                                        const void *value)
{
    void *const *pointers = value;
    for (size_t i = 0; no_svm && i < size / sizeof *pointers; i++)
        if (pointers[i] == no_svm)
            return CL_INVALID_VALUE;
    if (exec_answer == CL_SUCCESS)
        memcpy(&given_exec, value, size < sizeof given_exec ? size : sizeof given_exec);
    return exec_answer;
}

static cl_kernel CL_API_CALL fake_create_kernel(cl_program program, const char *name, cl_int *err)
{
    *err = CL_SUCCESS;
    return (cl_kernel)0x2000;
}

/* By which it would be found out what the driver holds. */
static cl_mem CL_API_CALL fake_create_buffer(cl_context of, cl_mem_flags flags, size_t size,
                                             void *host_ptr, cl_int *err)
{
    *err = CL_OUT_OF_RESOURCES;
    return NULL;
}

static cl_int CL_API_CALL fake_release_kernel(cl_kernel kernel)
{
    return CL_SUCCESS;
}

static cl_int CL_API_CALL fake_release_sampler(cl_sampler sampler)
{
    released++;
    return CL_SUCCESS;
}

static cl_int CL_API_CALL fake_release_context(cl_context context)
{
    return CL_SUCCESS;
}

static struct driver driver = {
    .clSetKernelArg = fake_set_arg,
    .clGetKernelInfo = fake_kernel_info,
    .clGetKernelArgInfo = fake_arg_info,
    .clSetKernelArgSVMPointer = fake_set_svm,
    .clSetKernelExecInfo = fake_set_exec,
    .clCreateKernel = fake_create_kernel,
    .clCreateBuffer = fake_create_buffer,
    .clReleaseKernel = fake_release_kernel,
    .clReleaseSampler = fake_release_sampler,
    .clReleaseContext = fake_release_context,
    .version = 120,
};
static struct driver other_driver;

static struct context *context;
static struct program *program;
static struct kernel *kernel;

static int setup(void **state)
{
    have_arg_info = false;
    buffer_type = "int*";
    buffer_space = CL_KERNEL_ARG_ADDRESS_GLOBAL;
    answer = CL_SUCCESS;
    released = 0;
    memset(given, 0, sizeof given);
    if (!context) {
        assert_true(object_init(NULL) > 0);
        context = object_create(KIND_CONTEXT, sizeof *context, &driver);
        object_publish(context);
        program = program_create(context, origin_create(ORIGIN_SOURCE, "", 0), 0, NULL);
        assert_non_null(program);
        object_publish(program);
    }
    kernel = kernel_create(program, "solve", (cl_kernel)0x1000);
    assert_non_null(kernel);
    object_publish(kernel);
    atomic_store(&context->keeps, KEEPS_NOTHING);
    return 0;
}

static int teardown(void **state)
{
    assert_true(object_release(kernel));
    return 0;
}

/* What all of the tests share. */
static int finish(void **state)
{
    assert_true(object_release(program));
    assert_true(object_release(context));
    return 0;
}

static struct mem *new_mem(void)
{
    struct mem *mem =
        mem_create(context, NULL, CL_MEM_OBJECT_BUFFER, CL_MEM_READ_WRITE, sizeof given);
    assert_non_null(mem);
    object_publish(mem);
    return mem;
}

static struct sampler *new_sampler(const struct driver *of, uintptr_t real)
{
    struct sampler *sampler = object_create(KIND_SAMPLER, sizeof *sampler, of);
    sampler->object.real = (void *)real;
    sampler->context = object_hold(context);
    object_publish(sampler);
    return sampler;
}

/* The first word of the argument that the driver got last. */
static uintptr_t given_word(cl_uint index)
{
    uintptr_t word;
    memcpy(&word, given[index], sizeof word);
    return word;
}

static cl_int set_handle(cl_uint index, const void *handle)
{
    return kernel_set_arg(kernel, index, sizeof handle, &handle);
}

/* OpenCL 3.0 §5.9.2: kernels don't retain their arguments. */
static void test_handle_is_translated_and_not_held(void **state)
{
    struct sampler *sampler = new_sampler(&driver, 0x77);
    assert_int_equal(set_handle(1, sampler), CL_SUCCESS);
    assert_int_equal(given_word(1), 0x77);
    assert_int_equal(sampler->object.holds, 1);
    assert_true(object_release(sampler));
    assert_int_equal(released, 1);
    assert_int_equal(set_handle(1, NULL), CL_SUCCESS);
    assert_int_equal(given_word(1), 0);
}

/* Where the driver does hold them, so does the kernel: until the argument is another, whatever that
 * is, or the kernel goes. */
static void test_what_the_driver_holds_is_held(void **state)
{
    const unsigned char large[100] = {0};
    const uint32_t small = 3;
    atomic_store(&context->keeps, KEEPS_ALL);
    for (int i = 0; i < 5; i++) {
        struct sampler *sampler = new_sampler(&driver, 0x77);
        released = 0;
        assert_int_equal(set_handle(1, sampler), CL_SUCCESS);
        assert_true(object_release(sampler));
        assert_int_equal(released, 0);
        assert_ptr_equal(kernel->args[1].object, sampler);
        if (i == 0)
            assert_int_equal(set_handle(1, NULL), CL_SUCCESS);
        else if (i == 1)
            assert_int_equal(kernel_set_arg(kernel, 1, sizeof large, large), CL_SUCCESS);
        else if (i == 2)
            assert_int_equal(kernel_set_arg(kernel, 1, sizeof small, &small), CL_SUCCESS);
        else if (i == 3)
            assert_int_equal(kernel_set_arg(kernel, 1, 64, NULL), CL_SUCCESS);
        else
            kernel_forget_args(kernel);
        assert_int_equal(released, 1);
    }
}

/* A sampler can't tell what the driver does, and may come, and be released, before the first buffer
 * that can: here another kernel's, or one that can't tell either. */
static void test_what_is_set_before_the_driver_told_is_held_as_well(void **state)
{
    const uint8_t answers[] = {KEEPS_ALL, KEEPS_NOTHING, KEEPS_UNKNOWN};
    for (int i = 0; i < 3; i++) {
        struct kernel *fresh = kernel_create(program, "solve", (cl_kernel)0x1000);
        struct sampler *early = new_sampler(&driver, 0x77), *late = new_sampler(&driver, 0x78);
        struct mem *mem = new_mem();
        assert_non_null(fresh);
        object_publish(fresh);
        released = 0;
        atomic_store(&context->keeps, KEEPS_UNKNOWN);
        assert_int_equal(kernel_set_arg(fresh, 1, sizeof early, &early), CL_SUCCESS);
        assert_int_equal(kernel_set_arg(fresh, 2, sizeof late, &late), CL_SUCCESS);
        assert_true(object_release(early));
        assert_int_equal(released, 0);
        atomic_store(&context->keeps, answers[i]);
        assert_int_equal(kernel_set_arg(fresh, 0, sizeof mem, &mem), CL_SUCCESS);
        bool kept = answers[i] == KEEPS_ALL;
        assert_int_equal(released, !kept);
        assert_true(object_release(late));
        assert_int_equal(released, kept ? 0 : 2);
        assert_true(object_release(fresh));
        assert_int_equal(released, 2);
        assert_true(object_release(mem));
    }
}

/* A pipe can't tell either. Its end is the program's to see: it has no hold until the driver told.
 */
static void test_pipe_is_held_once_the_driver_told(void **state)
{
    struct mem *pipe = mem_create(context, NULL, CL_MEM_OBJECT_PIPE, CL_MEM_READ_WRITE, 64);
    struct mem *gone = mem_create(context, NULL, CL_MEM_OBJECT_PIPE, CL_MEM_READ_WRITE, 64);
    struct mem *mem = new_mem();
    assert_true(pipe && gone);
    object_publish(pipe);
    object_publish(gone);
    atomic_store(&context->keeps, KEEPS_UNKNOWN);
    assert_int_equal(set_handle(1, pipe), CL_SUCCESS);
    assert_int_equal(set_handle(2, gone), CL_SUCCESS);
    assert_true(object_release(gone));
    atomic_store(&context->keeps, KEEPS_ALL);
    assert_int_equal(set_handle(0, mem), CL_SUCCESS);
    assert_true(object_release(pipe));
    assert_true(object_release(mem));
    assert_ptr_equal(kernel_arg_mem(&kernel->args[1]), pipe);
    assert_null(kernel_arg_mem(&kernel->args[2]));
    assert_ptr_equal(kernel_arg_mem(&kernel->args[0]), mem);
}

static void test_argument_whose_object_is_gone_is_left_unset(void **state)
{
    struct sampler *sampler = new_sampler(&driver, 0x77);
    struct error err;
    int value = 3;
    for (cl_uint i = 0; i < NUM_ARGS; i++)
        assert_int_equal(kernel_set_arg(kernel, i, sizeof value, &value), CL_SUCCESS);
    assert_int_equal(set_handle(1, sampler), CL_SUCCESS);
    assert_true(kernel_args_set(kernel));
    assert_true(object_release(sampler));
    assert_false(kernel_args_set(kernel));
    /* Another one in its slot is not the one that was meant. */
    sampler->object.generation++;
    atomic_store(&sampler->object.kind, KIND_SAMPLER);
    assert_false(kernel_args_set(kernel));
    struct kernel_args *args = kernel_args_create(kernel);
    assert_int_equal(args->args[1].kind, ARG_UNSET);
    kernel_args_destroy(args);
    memset(given, 0, sizeof given);
    kernel_release(kernel);
    assert_int_equal(kernel_rebuild(kernel, &err), 0);
    assert_int_equal(given_word(1), 0);
    assert_int_equal(given_word(2), 3);
    sampler->object.generation--;
    atomic_store(&sampler->object.kind, KIND_FREE);
}

static void test_wrong_index_is_refused(void **state)
{
    int value = 3;
    assert_int_equal(kernel_set_arg(kernel, NUM_ARGS, sizeof value, &value), CL_INVALID_ARG_INDEX);
}

static void test_released_handle_is_refused(void **state)
{
    struct sampler *sampler = new_sampler(&driver, 0x77);
    assert_true(object_release(sampler));
    assert_int_equal(set_handle(1, sampler), CL_INVALID_MEM_OBJECT);
    assert_int_equal(kernel->args[1].kind, ARG_UNSET);
}

static void test_handle_of_another_driver_is_refused(void **state)
{
    other_driver = driver;
    struct sampler *sampler = new_sampler(&other_driver, 0x77);
    assert_int_equal(set_handle(1, sampler), CL_INVALID_MEM_OBJECT);
    assert_true(object_release(sampler));
}

static void test_arg_info_tells_kinds_apart(void **state)
{
    have_arg_info = true;
    struct sampler *sampler = new_sampler(&driver, 0x77);
    assert_int_equal(set_handle(0, sampler), CL_INVALID_MEM_OBJECT);
    assert_int_equal(set_handle(0, &answer), CL_INVALID_MEM_OBJECT);
    assert_int_equal(set_handle(0, NULL), CL_SUCCESS);
    assert_int_equal(set_handle(1, &answer), CL_INVALID_SAMPLER);
    assert_int_equal(set_handle(1, sampler), CL_SUCCESS);
    /* A scalar is one, whatever it looks like; a typedef could be anything. */
    assert_int_equal(set_handle(2, sampler), CL_SUCCESS);
    assert_int_equal(given_word(2), (uintptr_t)sampler);
    assert_int_equal(kernel->args[2].kind, ARG_BYTES);
    assert_int_equal(set_handle(3, sampler), CL_SUCCESS);
    assert_int_equal(given_word(3), 0x77);
    assert_true(object_release(sampler));
}

static void test_failed_call_leaves_the_record(void **state)
{
    int value = 3, later = 4;
    assert_int_equal(kernel_set_arg(kernel, 2, sizeof value, &value), CL_SUCCESS);
    answer = CL_INVALID_ARG_SIZE;
    assert_int_equal(kernel_set_arg(kernel, 2, sizeof later, &later), CL_INVALID_ARG_SIZE);
    assert_memory_equal(kernel->args[2].inside, &value, sizeof value);
}

static void test_recorded_arguments_are_set_again(void **state)
{
    struct sampler *sampler = new_sampler(&driver, 0x77);
    struct error err;
    unsigned char large[200];
    long scalar = 5;
    memset(large, 0xa5, sizeof large);
    assert_int_equal(kernel_set_arg(kernel, 0, sizeof large, large), CL_SUCCESS);
    assert_int_equal(set_handle(1, sampler), CL_SUCCESS);
    assert_int_equal(kernel_set_arg(kernel, 2, sizeof scalar, &scalar), CL_SUCCESS);
    assert_false(kernel_args_set(kernel));
    assert_int_equal(kernel_set_arg(kernel, 3, 64, NULL), CL_SUCCESS);
    assert_true(kernel_args_set(kernel));
    memset(given, 0, sizeof given);
    sampler->object.real = (void *)0x99; /* as after a resume */
    kernel_release(kernel);
    assert_int_equal(kernel_rebuild(kernel, &err), 0);
    assert_memory_equal(given[0], large, sizeof large);
    assert_int_equal(given_word(1), 0x99);
    assert_memory_equal(given[2], &scalar, sizeof scalar);
    assert_true(given_null[3]);
    assert_int_equal(given_size[3], 64);
    assert_ptr_equal(kernel_real(kernel), (void *)0x2000);
    assert_true(object_release(sampler));
}

static void test_copy_keeps_arguments_as_they_were(void **state)
{
    struct sampler *sampler = new_sampler(&driver, 0x77);
    unsigned char large[100], other[100];
    cl_kernel real;
    memset(large, 1, sizeof large);
    memset(other, 2, sizeof other);
    assert_int_equal(kernel_set_arg(kernel, 0, sizeof large, large), CL_SUCCESS);
    assert_int_equal(set_handle(1, sampler), CL_SUCCESS);
    struct kernel_args *args = kernel_args_create(kernel);
    assert_non_null(args);
    assert_int_equal(kernel_set_arg(kernel, 0, sizeof other, other), CL_SUCCESS);
    assert_int_equal(set_handle(1, NULL), CL_SUCCESS);
    assert_true(object_release(sampler));
    assert_int_equal(released, 0);
    assert_int_equal(kernel_make(kernel, args->args, args->execs, &real), CL_SUCCESS);
    assert_memory_equal(given[0], large, sizeof large);
    assert_int_equal(given_word(1), 0x77);
    kernel_args_destroy(args);
    assert_int_equal(released, 1);
}

static void test_copy_keeps_exec_info_as_it_was(void **state)
{
    uint64_t then = 0x1111, now = 0x2222;
    cl_kernel real;
    assert_int_equal(kernel_set_exec(kernel, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof then, &then),
                     CL_SUCCESS);
    struct kernel_args *args = kernel_args_create(kernel);
    assert_non_null(args);
    assert_int_equal(kernel_set_exec(kernel, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof now, &now),
                     CL_SUCCESS);
    assert_int_equal(kernel_make(kernel, args->args, args->execs, &real), CL_SUCCESS);
    assert_int_equal(given_exec, then);
    assert_int_equal(kernel_make(kernel, kernel->args, kernel->execs, &real), CL_SUCCESS);
    assert_int_equal(given_exec, now);
    kernel_args_destroy(args);
}

static cl_int make_again(void)
{
    cl_kernel real = NULL;
    given_exec = 0;
    return kernel_make(kernel, kernel->args, kernel->execs, &real);
}

static void test_what_was_freed_is_left_out_of_a_list(void **state)
{
    static uint64_t memory[2][16];
    const void *pointers[2];
    for (int i = 0; i < 2; i++) {
        struct svm svm = {context, memory[i], sizeof memory[i], 0, 0, true};
        assert_true(svm_adopt(&svm));
        pointers[i] = memory[i];
    }
    assert_true(kernel_exec_load(kernel, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof pointers, pointers));
    svm_disown(context, no_svm = pointers[0]);
    assert_int_equal(make_again(), CL_SUCCESS);
    assert_int_equal(given_exec, (uintptr_t)pointers[1]);
    exec_answer = CL_OUT_OF_RESOURCES;
    assert_int_equal(make_again(), CL_OUT_OF_RESOURCES);
    exec_answer = CL_SUCCESS;
    /* One of a live allocation that is refused is an error. */
    no_svm = pointers[1];
    assert_int_equal(make_again(), CL_INVALID_VALUE);
    /* None is left. */
    svm_disown(context, pointers[1]);
    assert_int_equal(make_again(), CL_SUCCESS);
    assert_int_equal(given_exec, 0);
    no_svm = NULL;
}

/* The place of one is that of the other. */
static void test_handle_in_the_place_of_a_long_value(void **state)
{
    struct sampler *sampler = new_sampler(&driver, 0x77);
    unsigned char large[200];
    memset(large, 0xa5, sizeof large);
    assert_int_equal(kernel_set_arg(kernel, 0, sizeof large, large), CL_SUCCESS);
    assert_int_equal(set_handle(0, sampler), CL_SUCCESS);
    assert_int_equal(kernel->args[0].kind, ARG_OBJECT);
    assert_ptr_equal(kernel->args[0].object, sampler);
    large[199] = 1;
    assert_int_equal(kernel_set_arg(kernel, 0, sizeof large, large), CL_SUCCESS);
    assert_int_equal(kernel->args[0].kind, ARG_BYTES);
    assert_memory_equal(kernel->args[0].outside, large, sizeof large);
    assert_true(object_release(sampler));
}

static void take_note(struct mem *mem)
{
    mem_owe(mem);
    mem_not_owed(mem);
    assert_false(atomic_load(&mem->written));
}

static void test_launch_notes_again_what_it_may_write(void **state)
{
    struct mem *mem = new_mem(), *other = new_mem();
    assert_int_equal(set_handle(0, mem), CL_SUCCESS);
    kernel_wrote(kernel);
    assert_true(atomic_load(&mem->written));
    kernel_wrote(kernel);
    take_note(mem);
    kernel_wrote(kernel);
    assert_true(atomic_load(&mem->written));
    assert_false(atomic_load(&other->written));
    /* Another argument, and no note was taken since. */
    assert_int_equal(set_handle(1, other), CL_SUCCESS);
    kernel_wrote(kernel);
    assert_true(atomic_load(&other->written));
    take_note(other);
    kernel_wrote(kernel);
    assert_true(atomic_load(&other->written));
    assert_true(object_release(mem));
    assert_true(object_release(other));
}

/* By a launch whose arguments are these, and by one of them that is held back. */
static bool may_write_all(void)
{
    unsigned before = atomic_load(&context->writes);
    kernel_wrote(kernel);
    bool all = atomic_load(&context->writes) != before;
    struct kernel_args *args = kernel_args_create(kernel);
    assert_non_null(args);
    before = atomic_load(&context->writes);
    kernel_args_wrote(kernel, args);
    assert_int_equal(atomic_load(&context->writes) != before, all);
    kernel_args_destroy(args);
    return all;
}

static void test_kernel_that_follows_pointers_may_write_all(void **state)
{
    const cl_bool yes = CL_TRUE;
    const long number = 5;
    struct mem *mem = new_mem();
    have_arg_info = true;
    assert_int_equal(set_handle(0, mem), CL_SUCCESS);
    assert_int_equal(kernel_set_arg(kernel, 2, sizeof number, &number), CL_SUCCESS);
    assert_false(may_write_all());
    /* Each is noted though no note has been taken since the launch before. */
    assert_int_equal(kernel_set_svm(kernel, 3, &number), CL_SUCCESS);
    assert_true(may_write_all());
    assert_int_equal(kernel_set_arg(kernel, 3, sizeof number, &number), CL_SUCCESS);
    assert_int_equal(set_handle(0, mem), CL_SUCCESS);
    assert_false(may_write_all());
    assert_int_equal(
        kernel_set_exec(kernel, CL_KERNEL_EXEC_INFO_SVM_FINE_GRAIN_SYSTEM, sizeof yes, &yes),
        CL_SUCCESS);
    assert_true(may_write_all());
    assert_true(object_release(mem));
}

static void test_pointers_in_a_buffer_may_lead_anywhere(void **state)
{
    struct mem *mem = new_mem();
    have_arg_info = true;
    buffer_type = "int**";
    assert_int_equal(set_handle(0, mem), CL_SUCCESS);
    assert_true(may_write_all());
    assert_true(object_release(mem));
}

/* Programs from binaries: many drivers say nothing of their arguments. */
static void test_what_the_driver_says_nothing_of_is_written(void **state)
{
    for (int known = 0; known < 2; known++) {
        struct mem *mem = new_mem();
        have_arg_info = known;
        buffer_space = CL_KERNEL_ARG_ADDRESS_CONSTANT;
        struct kernel *fresh = kernel_create(program, "solve", (cl_kernel)0x1000);
        assert_non_null(fresh);
        object_publish(fresh);
        assert_int_equal(kernel_set_arg(fresh, 0, sizeof mem, &mem), CL_SUCCESS);
        kernel_wrote(fresh);
        assert_int_equal(atomic_load(&mem->written), !known);
        assert_true(object_release(fresh));
        assert_true(object_release(mem));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_handle_is_translated_and_not_held),
        TEST(test_what_the_driver_holds_is_held),
        TEST(test_what_is_set_before_the_driver_told_is_held_as_well),
        TEST(test_pipe_is_held_once_the_driver_told),
        TEST(test_argument_whose_object_is_gone_is_left_unset),
        TEST(test_wrong_index_is_refused),
        TEST(test_released_handle_is_refused),
        TEST(test_handle_of_another_driver_is_refused),
        TEST(test_arg_info_tells_kinds_apart),
        TEST(test_failed_call_leaves_the_record),
        TEST(test_recorded_arguments_are_set_again),
        TEST(test_copy_keeps_arguments_as_they_were),
        TEST(test_copy_keeps_exec_info_as_it_was),
        TEST(test_what_was_freed_is_left_out_of_a_list),
        TEST(test_handle_in_the_place_of_a_long_value),
        TEST(test_launch_notes_again_what_it_may_write),
        TEST(test_kernel_that_follows_pointers_may_write_all),
        TEST(test_pointers_in_a_buffer_may_lead_anywhere),
        TEST(test_what_the_driver_says_nothing_of_is_written),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, finish);
}
