/* SPDX-License-Identifier: Apache-2.0 */
/* The test driver is what it says: a GPU with memory of its own that really unloads. */
#include "tests/driver/test_support.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* pocl's worker may hold the last reference a moment longer than we. */
static void expect_closed_soon(void)
{
    for (int i = 0; i < 1000 && is_open(node); i++)
        usleep(1000);
    assert_false(is_open(node));
}

static void test_platform_and_device_are_found(void **state)
{
    struct setup s;
    char text[256];
    cl_ulong size;
    cl_bool unified;
    cl_platform_id platform;
    load(&s, DRIVER);
    assert_int_equal(s.num_devices, 1);
    must(s.cl->clGetPlatformInfo(s.platform, CL_PLATFORM_NAME, sizeof text, text, NULL));
    assert_string_equal(text, "shadowcl test platform");
    must(s.cl->clGetPlatformInfo(s.platform, CL_PLATFORM_VERSION, sizeof text, text, NULL));
    assert_memory_equal(text, "OpenCL 3.0", 10);
    must(s.cl->clGetDeviceInfo(s.devices[0], CL_DEVICE_NAME, sizeof text, text, NULL));
    assert_string_equal(text, "shadowcl test GPU");
    must(s.cl->clGetDeviceInfo(s.devices[0], CL_DEVICE_GLOBAL_MEM_SIZE, sizeof size, &size, NULL));
    assert_int_equal(size, NODE_SIZE);
    must(s.cl->clGetDeviceInfo(s.devices[0], CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof unified,
                               &unified, NULL));
    assert_int_equal(unified, CL_FALSE);
    must(s.cl->clGetDeviceInfo(s.devices[0], CL_DEVICE_PLATFORM, sizeof platform, &platform, NULL));
    assert_ptr_equal(platform, s.platform);
    assert_int_equal(s.cl->clGetDeviceIDs(s.platform, CL_DEVICE_TYPE_CPU, 0, NULL, &(cl_uint){0}),
                     CL_DEVICE_NOT_FOUND);
    assert_false(is_open(node));
    unload(&s);
}

static void test_contents_live_in_the_node(void **state)
{
    static const unsigned char canary[4096];
    struct setup s;
    cl_int err;
    unsigned char pattern[256], first[4096];
    for (int i = 0; i < 256; i++)
        pattern[i] = (unsigned char)(i * 37 + 11);
    load(&s, DRIVER);
    open_context(&s);
    check_vector_add(&s);
    cl_mem buffer = s.cl->clCreateBuffer(s.context, CL_MEM_READ_ONLY, sizeof pattern, NULL, &err);
    must(err);
    must(s.cl->clEnqueueWriteBuffer(s.queue, buffer, CL_TRUE, 0, sizeof pattern, pattern, 0, NULL,
                                    NULL));
    assert_true(node_contains(node, pattern, sizeof pattern));
    must(s.cl->clReleaseMemObject(buffer));
    assert_false(node_contains(node, pattern, sizeof pattern));
    close_context(&s);
    int fd = open(node, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, first, sizeof first), sizeof first);
    close(fd);
    assert_memory_equal(first, canary, sizeof first);
    unload(&s);
}

static void test_answers_are_what_the_application_gave(void **state)
{
    struct setup s;
    cl_int err;
    cl_mem_flags flags;
    int host[64] = {1, 2, 3};
    void *pointer;
    load(&s, DRIVER);
    open_context(&s);
    cl_mem plain = s.cl->clCreateBuffer(s.context, CL_MEM_COPY_HOST_PTR | CL_MEM_READ_ONLY,
                                        sizeof host, host, &err);
    must(err);
    must(s.cl->clGetMemObjectInfo(plain, CL_MEM_FLAGS, sizeof flags, &flags, NULL));
    assert_int_equal(flags, CL_MEM_COPY_HOST_PTR | CL_MEM_READ_ONLY);
    must(s.cl->clGetMemObjectInfo(plain, CL_MEM_HOST_PTR, sizeof pointer, &pointer, NULL));
    assert_null(pointer);
    cl_mem over = s.cl->clCreateBuffer(s.context, CL_MEM_USE_HOST_PTR, sizeof host, host, &err);
    must(err);
    must(s.cl->clGetMemObjectInfo(over, CL_MEM_HOST_PTR, sizeof pointer, &pointer, NULL));
    assert_ptr_equal(pointer, host);
    int five = 5;
    must(s.cl->clEnqueueWriteBuffer(s.queue, over, CL_TRUE, 4, 4, &five, 0, NULL, NULL));
    assert_int_equal(host[1], 2);
    int *mapped = s.cl->clEnqueueMapBuffer(s.queue, over, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 4, 8,
                                           0, NULL, NULL, &err);
    must(err);
    assert_ptr_equal(mapped, host + 1);
    assert_int_equal(host[1], 5);
    mapped[1] = 9;
    must(s.cl->clEnqueueUnmapMemObject(s.queue, over, mapped, 0, NULL, NULL));
    must(s.cl->clEnqueueReadBuffer(s.queue, over, CL_TRUE, 8, 4, &five, 0, NULL, NULL));
    assert_int_equal(five, 9);
    must(s.cl->clReleaseMemObject(plain));
    must(s.cl->clReleaseMemObject(over));
    close_context(&s);
    unload(&s);
}

static void test_images_live_in_the_node(void **state)
{
    struct setup s;
    cl_int err;
    const size_t origin[3] = {0}, region[3] = {16, 8, 1};
    unsigned char in[8][80], out[8][64];
    for (size_t i = 0; i < sizeof in; i++)
        in[i / 80][i % 80] = (unsigned char)(i * 13 + 5);
    cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
    cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE2D,
                          .image_width = 16,
                          .image_height = 8,
                          .image_row_pitch = 80};
    load(&s, DRIVER);
    open_context(&s);
    cl_mem image = s.cl->clCreateImage(s.context, CL_MEM_COPY_HOST_PTR, &format, &desc, in, &err);
    must(err);
    assert_true(node_contains(node, in[3], 64));
    must(s.cl->clEnqueueReadImage(s.queue, image, CL_TRUE, origin, region, 0, 0, out, 0, NULL,
                                  NULL));
    for (int i = 0; i < 8; i++)
        assert_memory_equal(in[i], out[i], 64);
    must(s.cl->clReleaseMemObject(image));
    cl_mem buffer = s.cl->clCreateBuffer(s.context, 0, 64, NULL, &err);
    must(err);
    cl_image_desc line = {
        .image_type = CL_MEM_OBJECT_IMAGE1D_BUFFER, .image_width = 16, .buffer = buffer};
    image = s.cl->clCreateImage(s.context, 0, &format, &line, NULL, &err);
    must(err);
    must(s.cl->clReleaseMemObject(buffer));
    must(s.cl->clReleaseMemObject(image));
    close_context(&s);
    /* pocl would have kept the context, and with it the node. */
    expect_closed_soon();
    unload(&s);
}

static void test_it_unloads_and_loads_again(void **state)
{
    for (int round = 0; round < 5; round++) {
        struct setup s;
        load(&s, DRIVER);
        open_context(&s);
        assert_true(is_open(node));
        assert_true(is_mapped(node));
        check_vector_add(&s);
        close_context(&s);
        unload(&s);
        assert_false(is_loaded("libshadowcl-testdriver.so"));
        assert_false(is_mapped(node));
        assert_false(is_open(node));
    }
}

static const cl_icd_dispatch *find_pocl(void)
{
    cl_platform_id platform;
    void *library = dlopen("libpocl.so.2", RTLD_NOW | RTLD_NOLOAD);
    assert_non_null(library);
    cl_api_clGetExtensionFunctionAddress find;
    *(void **)&find = dlsym(library, "clGetExtensionFunctionAddress");
    cl_int (*get_platforms)(cl_uint, cl_platform_id *, cl_uint *);
    *(void **)&get_platforms = find("clIcdGetPlatformIDsKHR");
    must(get_platforms(1, &platform, NULL));
    dlclose(library);
    return *(const cl_icd_dispatch **)platform;
}

/* A worker of pocl's that is slow to drop the last reference to a context and a buffer. The next
 * instance of the driver, which may lie at the same address, has nothing to do with it. */
static void test_what_pocl_drops_late_harms_nobody(void **state)
{
    struct setup s, next;
    cl_int err;
    /* A node of its own: the first instance leaves it open. */
    make_node(log_file, NODE_SIZE);
    setenv("SHADOWCL_TEST_DEVICE", log_file, 1);
    load(&s, DRIVER);
    open_context(&s);
    const cl_icd_dispatch *pocl = find_pocl();
    cl_mem buffer = s.cl->clCreateBuffer(s.context, 0, 64, NULL, &err);
    must(err);
    must(pocl->clRetainContext(s.context));
    must(pocl->clRetainMemObject(buffer));
    must(s.cl->clReleaseMemObject(buffer));
    cl_context late = s.context;
    close_context(&s);
    unload(&s);
    assert_false(is_loaded("libshadowcl-testdriver.so"));
    load(&next, DRIVER);
    open_context(&next);
    must(pocl->clReleaseMemObject(buffer));
    must(pocl->clReleaseContext(late));
    check_vector_add(&next);
    close_context(&next);
    unload(&next);
    assert_false(is_loaded("libshadowcl-testdriver.so"));
}

static void test_device_gone_and_back(void **state)
{
    struct setup s;
    cl_int err;
    cl_uint count;
    load(&s, DRIVER);
    open_context(&s);
    unlink(node);
    assert_int_equal(s.cl->clFinish(s.queue), CL_OUT_OF_RESOURCES);
    assert_null(s.cl->clCreateBuffer(s.context, 0, 64, NULL, &err));
    assert_int_equal(err, CL_OUT_OF_RESOURCES);
    assert_int_equal(s.cl->clGetDeviceIDs(s.platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count),
                     CL_DEVICE_NOT_FOUND);
    /* Another device in its place is not the one that was opened. */
    make_node(node, NODE_SIZE);
    assert_int_equal(s.cl->clFinish(s.queue), CL_OUT_OF_RESOURCES);
    close_context(&s);
    open_context(&s);
    check_vector_add(&s);
    close_context(&s);
    unload(&s);
}

/* Two programs share a device: what one has the other is not given. */
static void test_memory_of_other_processes(void **state)
{
    struct setup s;
    cl_int err;
    static unsigned char bytes[4096], whole[NODE_SIZE];
    const size_t theirs = 64 << 10;
    struct flock range = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 4096, .l_len = (off_t)theirs};
    int fd = open(node, O_RDWR | O_CLOEXEC);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), 0);
    memset(bytes, 0x5A, sizeof bytes);
    load(&s, DRIVER);
    open_context(&s);
    cl_mem ours = s.cl->clCreateBuffer(s.context, CL_MEM_COPY_HOST_PTR, sizeof bytes, bytes, &err);
    must(err);
    assert_int_equal(read(fd, whole, sizeof whole), sizeof whole);
    unsigned char *found = memmem(whole, sizeof whole, bytes, sizeof bytes);
    assert_true(found >= whole + 4096 + theirs);
    range.l_start = found - whole;
    range.l_len = sizeof bytes;
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), -1);
    must(s.cl->clReleaseMemObject(ours));
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), 0);
    close(fd);
    close_context(&s);
    unload(&s);
}

static char bar_enabled(const char *address)
{
    char path[512];
    snprintf(path, sizeof path, "%s/bus/pci/devices/%s/enable", sysfs, address);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char enabled = (char)fgetc(file);
    fclose(file);
    return enabled;
}

/* Found by its ids, wherever it is plugged in; another device at its place is another one. */
static void test_pci_device(void **state)
{
    struct setup s;
    cl_ulong size;
    cl_uint count;
    setenv("SHADOWCL_TEST_BAR", "1af4:1110", 1);
    setenv("SHADOWCL_TEST_SYSFS", sysfs, 1);
    unsetenv("SHADOWCL_TEST_DEVICE");
    plug("0000:00:02.0", "0x1af4", "0x1111", NODE_SIZE);
    must(try_load(&s, DRIVER));
    assert_int_equal(s.cl->clGetDeviceIDs(s.platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count),
                     CL_DEVICE_NOT_FOUND);
    plug("0000:00:08.0", "0x1af4", "0x1110", NODE_SIZE);
    must(s.cl->clGetDeviceIDs(s.platform, CL_DEVICE_TYPE_GPU, 4, s.devices, &s.num_devices));
    assert_int_equal(s.num_devices, 1);
    open_context(&s);
    check_vector_add(&s);
    assert_int_equal(bar_enabled("0000:00:08.0"), '1');
    assert_int_equal(bar_enabled("0000:00:02.0"), '0');
    assert_true(is_mapped("0000:00:08.0/resource2"));

    unplug("0000:00:08.0");
    assert_int_equal(s.cl->clFinish(s.queue), CL_OUT_OF_RESOURCES);
    plug("0000:00:07.0", "0x1af4", "0x1110", 2 * NODE_SIZE);
    assert_int_equal(s.cl->clFinish(s.queue), CL_OUT_OF_RESOURCES);
    close_context(&s);
    assert_false(is_mapped("resource2"));
    must(s.cl->clGetDeviceInfo(s.devices[0], CL_DEVICE_GLOBAL_MEM_SIZE, sizeof size, &size, NULL));
    assert_int_equal(size, 2 * NODE_SIZE);
    open_context(&s);
    check_vector_add(&s);
    assert_true(is_mapped("0000:00:07.0/resource2"));
    close_context(&s);
    unload(&s);
    unplug("0000:00:02.0");
    unplug("0000:00:07.0");
}

static void test_out_of_device_memory(void **state)
{
    struct setup s;
    cl_int err;
    cl_mem buffers[3];
    load(&s, DRIVER);
    open_context(&s);
    assert_null(s.cl->clCreateBuffer(s.context, 0, NODE_SIZE, NULL, &err));
    assert_int_equal(err, CL_INVALID_BUFFER_SIZE);
    for (int i = 0; i < 3; i++) {
        buffers[i] = s.cl->clCreateBuffer(s.context, 0, NODE_SIZE / 4, NULL, &err);
        must(err);
    }
    assert_null(s.cl->clCreateBuffer(s.context, 0, NODE_SIZE / 4, NULL, &err));
    assert_int_equal(err, CL_MEM_OBJECT_ALLOCATION_FAILURE);
    must(s.cl->clReleaseMemObject(buffers[1]));
    buffers[1] = s.cl->clCreateBuffer(s.context, 0, NODE_SIZE / 4, NULL, &err);
    must(err);
    for (int i = 0; i < 3; i++)
        must(s.cl->clReleaseMemObject(buffers[i]));
    close_context(&s);
    unload(&s);
}

static void test_two_devices_differ(void **state)
{
    struct setup s;
    char list[512], text[2048];
    cl_int err;
    const char *source = "kernel void f(global double *p) { *p = 1; }";
    make_node(node2, NODE_SIZE);
    snprintf(list, sizeof list, "%s:%s", node, node2);
    setenv("SHADOWCL_TEST_DEVICE", list, 1);
    setenv("SHADOWCL_TEST_NAME", "big:small", 1);
    setenv("SHADOWCL_TEST_CAPS", ":mem=1M,nofp64,noimages,maxwg=64,nooutoforder", 1);
    load(&s, DRIVER);
    assert_int_equal(s.num_devices, 2);
    must(s.cl->clGetDeviceInfo(s.devices[1], CL_DEVICE_NAME, sizeof text, text, NULL));
    assert_string_equal(text, "small");
    must(s.cl->clGetDeviceInfo(s.devices[1], CL_DEVICE_EXTENSIONS, sizeof text, text, NULL));
    assert_null(strstr(text, "cl_khr_fp64"));
    must(s.cl->clGetDeviceInfo(s.devices[0], CL_DEVICE_EXTENSIONS, sizeof text, text, NULL));
    assert_non_null(strstr(text, "cl_khr_fp64"));
    open_context(&s);
    assert_false(is_open(node2));
    cl_context small = s.cl->clCreateContext(NULL, 1, &s.devices[1], NULL, NULL, &err);
    must(err);
    assert_true(is_open(node2));
    assert_null(s.cl->clCreateBuffer(small, 0, 1 << 20, NULL, &err));
    assert_int_equal(err, CL_INVALID_BUFFER_SIZE);
    assert_null(s.cl->clCreateCommandQueue(small, s.devices[1],
                                           CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &err));
    assert_int_equal(err, CL_INVALID_QUEUE_PROPERTIES);
    cl_program program = s.cl->clCreateProgramWithSource(small, 1, &source, NULL, &err);
    must(err);
    assert_int_equal(s.cl->clBuildProgram(program, 0, NULL, "", NULL, NULL),
                     CL_BUILD_PROGRAM_FAILURE);
    must(s.cl->clReleaseProgram(program));
    unlink(node2);
    check_vector_add(&s);
    assert_null(s.cl->clCreateBuffer(small, 0, 64, NULL, &err));
    assert_int_equal(err, CL_OUT_OF_RESOURCES);
    must(s.cl->clReleaseContext(small));
    close_context(&s);
    unload(&s);
}

static void test_nodelete_remembers_its_devices(void **state)
{
    struct setup s;
    cl_uint count = 0;
    cl_int err;
    load(&s, DRIVER_NODELETE);
    open_context(&s);
    check_vector_add(&s);
    close_context(&s);
    unload(&s);
    assert_true(is_loaded("libshadowcl-testdriver-nodelete.so"));
    expect_closed_soon();
    unlink(node);
    load(&s, DRIVER_NODELETE);
    must(s.cl->clGetDeviceIDs(s.platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count));
    assert_int_equal(count, 1);
    make_node(node, NODE_SIZE);
    assert_null(s.cl->clCreateContext(NULL, 1, s.devices, NULL, NULL, &err));
    assert_int_equal(err, CL_OUT_OF_RESOURCES);
    unload(&s);
}

static void test_sticky_keeps_its_node(void **state)
{
    struct setup s;
    load(&s, DRIVER_STICKY);
    assert_false(is_open(node));
    open_context(&s);
    check_vector_add(&s);
    close_context(&s);
    unload(&s);
    assert_true(is_open(node));
    assert_true(is_mapped(node));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(test_platform_and_device_are_found, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_contents_live_in_the_node, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_answers_are_what_the_application_gave, test_begin,
                                    test_end),
    cmocka_unit_test_setup_teardown(test_images_live_in_the_node, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_it_unloads_and_loads_again, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_what_pocl_drops_late_harms_nobody, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_device_gone_and_back, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_memory_of_other_processes, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_pci_device, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_out_of_device_memory, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_two_devices_differ, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_nodelete_remembers_its_devices, test_begin, test_end),
    cmocka_unit_test_setup_teardown(test_sticky_keeps_its_node, test_begin, test_end),
};

int main(void)
{
    int failures = cmocka_run_group_tests(tests, support_begin, support_end);
    return failures + _cmocka_run_group_tests("faults", fault_tests, num_fault_tests, support_begin,
                                              support_end);
}
