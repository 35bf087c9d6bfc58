/* SPDX-License-Identifier: Apache-2.0 */
/* What a program does while its contents are copied beforehand (SHADOWCL_PREPARE). The test driver
 * is told to be slow, so that there is time for it, and to keep kernels back. */
#include "live.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 16384
#define MANY 24 /* buffers that keep the copying busy for a while */

static const char *const source =
    "kernel void put(global uchar *to, uchar value) { to[get_global_id(0)] = value; }\n"
    "kernel void keep(global uchar *to, global ulong *at) { at[0] = (ulong)to; }\n";
static const char *const following = "kernel void follow(global uchar *global *at, uchar value)\n"
                                     "{ at[0][get_global_id(0)] = value; }\n";

static cl_mem busy[MANY];

static void tell(const char *lines)
{
    char fresh[512];
    const char *path = getenv("SHADOWCL_TEST_FAULTS");
    assert_non_null(path);
    snprintf(fresh, sizeof fresh, "%s.new", path ? path : "");
    FILE *file = fopen(fresh, "w");
    assert_non_null(file);
    fputs(lines, file);
    fclose(file);
    assert_int_equal(rename(fresh, path ? path : ""), 0);
}

static void *let_go_soon(void *unused)
{
    live_sleep(1000);
    tell("");
    return NULL;
}

/* The first round finds a kernel that runs still, and its queue gone. */
static void test_a_released_queue_is_waited_for_before_its_buffers_are_copied(void **state)
{
    cl_int err;
    pthread_t thread;
    unsigned char bytes[SIZE];
    cl_uchar value = 0x5a;
    memset(bytes, 0x11, SIZE);
    cl_mem buffer = live_buffer(SIZE, bytes);
    cl_kernel kernel = live_kernel(source, "put");
    cl_command_queue queue = clCreateCommandQueue(live.context, live.device, 0, &err);
    made(queue);
    ok(clSetKernelArg(kernel, 0, sizeof buffer, &buffer));
    ok(clSetKernelArg(kernel, 1, sizeof value, &value));
    tell("stall 1\n");
    live_launch(queue, kernel, SIZE);
    ok(clReleaseCommandQueue(queue));
    assert_int_equal(pthread_create(&thread, NULL, let_go_soon, NULL), 0);
    live_cycle();
    assert_int_equal(pthread_join(thread, NULL), 0);
    memset(bytes, value, SIZE);
    live_expect(buffer, 0, bytes, SIZE);
    ok(clReleaseKernel(kernel));
    ok(clReleaseMemObject(buffer));
}

/* --- What a thread does while a suspend copies --- */

struct busy_thread {
    pthread_t thread;
    _Atomic bool stop;
    _Atomic unsigned rounds;
    void (*work)(void);
};

static void *work(void *data)
{
    struct busy_thread *it = data;
    while (!atomic_load(&it->stop)) {
        it->work();
        atomic_fetch_add(&it->rounds, 1);
    }
    return NULL;
}

/* Some suspends and resumes, with the work in another thread all the time. */
static void cycles_during(void (*what)(void))
{
    struct busy_thread it = {.work = what};
    for (int i = 0; i < MANY; i++)
        busy[i] = live_buffer(4096, NULL);
    tell("slow clEnqueueReadBuffer 10000\nslow clEnqueueReadImage 10000\n");
    assert_int_equal(pthread_create(&it.thread, NULL, work, &it), 0);
    for (int i = 0; i < 3; i++) {
        unsigned before = atomic_load(&it.rounds);
        live_cycle();
        while (atomic_load(&it.rounds) == before)
            live_sleep(1);
    }
    atomic_store(&it.stop, true);
    assert_int_equal(pthread_join(it.thread, NULL), 0);
    tell("");
    for (int i = 0; i < MANY; i++)
        ok(clReleaseMemObject(busy[i]));
}

/* What the thread below knows: each part of a buffer holds its number. */
#define PARTS 4
#define PART (SIZE / PARTS)

static cl_mem whole, parts[PARTS];
static cl_uchar numbers[PARTS], latest;

static void expect_parts(void)
{
    unsigned char bytes[SIZE];
    for (int i = 0; i < PARTS; i++)
        memset(bytes + (size_t)i * PART, numbers[i], PART);
    live_expect(whole, 0, bytes, SIZE);
}

static void write_a_part(void)
{
    int i = latest++ % PARTS;
    ok(clEnqueueFillBuffer(live.queue, parts[i], &latest, 1, 0, PART, 0, NULL, NULL));
    numbers[i] = latest;
    live_sleep(1);
}

static void make_parts(void)
{
    unsigned char bytes[SIZE] = {0};
    cl_int err;
    memset(numbers, 0, sizeof numbers);
    whole = live_buffer(SIZE, bytes);
    for (size_t i = 0; i < PARTS; i++) {
        parts[i] = clCreateSubBuffer(whole, 0, CL_BUFFER_CREATE_TYPE_REGION,
                                     &(cl_buffer_region){i * PART, PART}, &err);
        made(parts[i]);
    }
}

static void drop_parts(void)
{
    for (int i = 0; i < PARTS; i++)
        ok(clReleaseMemObject(parts[i]));
    ok(clReleaseMemObject(whole));
}

static void test_writes_by_sub_buffers_are_noted_of_the_parent(void **state)
{
    make_parts();
    cycles_during(write_a_part);
    expect_parts();
    drop_parts();
}

/* The program writes through the pointer at any moment; it counts from the unmap. */
static void map_a_part(void)
{
    cl_int err;
    int i = latest++ % PARTS;
    unsigned char *at = clEnqueueMapBuffer(live.queue, parts[i], CL_TRUE, CL_MAP_WRITE, 0, PART, 0,
                                           NULL, NULL, &err);
    made(at);
    memset(at, latest, PART / 2);
    live_sleep(3);
    memset(at + PART / 2, latest, PART / 2);
    ok(clEnqueueUnmapMemObject(live.queue, parts[i], at, 0, NULL, NULL));
    numbers[i] = latest;
}

static void test_regions_mapped_while_contents_are_copied(void **state)
{
    make_parts();
    cycles_during(map_a_part);
    expect_parts();
    drop_parts();
}

/* A region that was mapped before the copying begins, and is unmapped after the resume. */
static void test_a_region_stays_mapped_through_it_all(void **state)
{
    cl_int err;
    make_parts();
    unsigned char *at = clEnqueueMapBuffer(live.queue, whole, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE,
                                           PART, PART, 0, NULL, NULL, &err);
    made(at);
    memset(at, 0xee, PART);
    numbers[1] = 0xee;
    for (int i = 0; i < 2; i++)
        live_cycle();
    ok(clEnqueueUnmapMemObject(live.queue, whole, at, 0, NULL, NULL));
    expect_parts();
    drop_parts();
}

static void come_and_go(void)
{
    unsigned char bytes[SIZE];
    memset(bytes, ++latest, SIZE);
    cl_mem mem = live_buffer(SIZE, bytes);
    live_sleep(2);
    live_expect(mem, 0, bytes, SIZE);
    ok(clReleaseMemObject(mem));
}

static void test_objects_come_and_go_while_contents_are_copied(void **state)
{
    cycles_during(come_and_go);
}

static void fork_and_look(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(clReleaseEvent(NULL) == CL_INVALID_EVENT ? 0 : 1);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    live_sleep(5);
}

static void test_forks_while_contents_are_copied(void **state)
{
    make_parts();
    write_a_part();
    cycles_during(fork_and_look);
    expect_parts();
    drop_parts();
}

static cl_mem image, pixels;

/* A buffer's pixels (pocl 3.1 can't fill them), and a plain one. */
static void write_images(void)
{
    const size_t zero[3] = {0}, region[3] = {64, 16, 1}, row[3] = {64, 1, 1};
    unsigned char bytes[256];
    cl_uint color[4];
    latest++;
    memset(bytes, latest, sizeof bytes);
    for (int i = 0; i < 4; i++)
        color[i] = latest;
    ok(clEnqueueFillImage(live.queue, image, color, zero, region, 0, NULL, NULL));
    ok(clEnqueueWriteImage(live.queue, pixels, CL_TRUE, zero, row, 0, 0, bytes, 0, NULL, NULL));
    numbers[0] = latest;
    live_sleep(1);
}

static cl_mem make_image(cl_mem_object_type type, size_t height, cl_mem buffer)
{
    cl_int err;
    const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
    const cl_image_desc desc = {
        .image_type = type, .image_width = 64, .image_height = height, .buffer = buffer};
    cl_mem made_image = clCreateImage(live.context, 0, &format, &desc, NULL, &err);
    made(made_image);
    return made_image;
}

static void test_writes_to_images_and_to_images_of_buffers(void **state)
{
    const size_t zero[3] = {0}, region[3] = {64, 16, 1};
    unsigned char bytes[4096], back[4096] = {0};
    cl_mem under = live_buffer(256, NULL);
    image = make_image(CL_MEM_OBJECT_IMAGE2D, 16, NULL);
    pixels = make_image(CL_MEM_OBJECT_IMAGE1D_BUFFER, 0, under);
    cycles_during(write_images);
    memset(bytes, numbers[0], sizeof bytes);
    ok(clEnqueueReadImage(live.queue, image, CL_TRUE, zero, region, 0, 0, back, 0, NULL, NULL));
    assert_memory_equal(back, bytes, sizeof bytes);
    live_expect(under, 0, bytes, 256);
    ok(clReleaseMemObject(pixels));
    ok(clReleaseMemObject(image));
    ok(clReleaseMemObject(under));
}

static _Alignas(4096) unsigned char host[SIZE];
static cl_mem over_host;

static void write_over_host(void)
{
    latest++;
    ok(clEnqueueFillBuffer(live.queue, over_host, &latest, 1, 0, SIZE, 0, NULL, NULL));
    numbers[0] = latest;
    live_sleep(1);
}

static void test_the_program_s_own_memory_has_what_was_written_last(void **state)
{
    cl_int err;
    over_host = clCreateBuffer(live.context, CL_MEM_USE_HOST_PTR, SIZE, host, &err);
    made(over_host);
    cycles_during(write_over_host);
    unsigned char bytes[SIZE];
    memset(bytes, numbers[0], SIZE);
    live_suspend();
    assert_memory_equal(host, bytes, SIZE);
    live_resume();
    live_expect(over_host, 0, bytes, SIZE);
    ok(clReleaseMemObject(over_host));
}

/* How many reads the driver has been asked for since it was told to log. */
static int count_reads(const char *log)
{
    char line[256];
    int count = 0;
    FILE *file = fopen(log, "r");
    while (file && fgets(line, sizeof line, file))
        count += !strcmp(line, "clEnqueueReadBuffer\n");
    if (file)
        fclose(file);
    return count;
}

static char log_of_calls[400];
static cl_kernel follower;

/* The newest buffer is copied first: once the driver hangs at one of the old ones, what the kernel
 * writes has been copied. */
static void *launch_in_the_middle(void *unused)
{
    for (int i = 0; i < 10000 && count_reads(log_of_calls) < MANY; i++)
        live_sleep(1);
    live_launch(live.queue, follower, SIZE);
    ok(clFinish(live.queue));
    tell("");
    return NULL;
}

/* The kernel has the one buffer, in which the other's address is. */
static void test_writes_by_pointers_in_a_buffer_are_not_missed(void **state)
{
    pthread_t thread;
    unsigned char bytes[SIZE];
    char lines[480];
    cl_int err;
    cl_uchar value = 0x77;
    const char *mapping = getenv("SHADOWCL_MAPPING"), *faults = getenv("SHADOWCL_TEST_FAULTS");
    live_need(mapping && !strcmp(mapping, "copy"));
    memset(bytes, 0x11, SIZE);
    for (int i = 0; i < MANY; i++)
        busy[i] = live_buffer(4096, NULL);
    cl_mem at = live_buffer(8, NULL), to = live_buffer(SIZE, bytes);
    cl_kernel keep = live_kernel(source, "keep");
    cl_program program = live_program(following, "-cl-std=CL3.0 -cl-kernel-arg-info");
    follower = clCreateKernel(program, "follow", &err);
    made(follower);
    ok(clSetKernelArg(keep, 0, sizeof to, &to));
    ok(clSetKernelArg(keep, 1, sizeof at, &at));
    ok(clSetKernelArg(follower, 0, sizeof at, &at));
    ok(clSetKernelArg(follower, 1, sizeof value, &value));
    live_launch(live.queue, keep, 1);
    ok(clFinish(live.queue));
    snprintf(log_of_calls, sizeof log_of_calls, "%s-log", faults);
    unlink(log_of_calls);
    snprintf(lines, sizeof lines, "hang clEnqueueReadBuffer %d\nlog %s\n", MANY, log_of_calls);
    tell(lines);
    assert_int_equal(pthread_create(&thread, NULL, launch_in_the_middle, NULL), 0);
    live_cycle();
    assert_int_equal(pthread_join(thread, NULL), 0);
    memset(bytes, value, SIZE);
    live_expect(to, 0, bytes, SIZE);
    ok(clReleaseKernel(keep));
    ok(clReleaseKernel(follower));
    ok(clReleaseProgram(program));
    ok(clReleaseMemObject(at));
    ok(clReleaseMemObject(to));
    for (int i = 0; i < MANY; i++)
        ok(clReleaseMemObject(busy[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_released_queue_is_waited_for_before_its_buffers_are_copied),
        cmocka_unit_test(test_writes_by_sub_buffers_are_noted_of_the_parent),
        cmocka_unit_test(test_regions_mapped_while_contents_are_copied),
        cmocka_unit_test(test_a_region_stays_mapped_through_it_all),
        cmocka_unit_test(test_objects_come_and_go_while_contents_are_copied),
        cmocka_unit_test(test_forks_while_contents_are_copied),
        cmocka_unit_test(test_writes_to_images_and_to_images_of_buffers),
        cmocka_unit_test(test_the_program_s_own_memory_has_what_was_written_last),
        cmocka_unit_test(test_writes_by_pointers_in_a_buffer_are_not_missed),
    };
    return cmocka_run_group_tests(tests, live_setup, live_teardown);
}
