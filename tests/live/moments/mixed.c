/* SPDX-License-Identifier: Apache-2.0 */
/* Does a bit of everything, again and again, and says what it has: descriptors, threads, mappings,
 * memory, and the range of the addresses of its handles. Each line of standard input is a number of
 * rounds to do; `anew` makes everything anew each round, as a suspend and resume do. */
#include "work.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS 512

struct all {
    struct work work;
    cl_kernel kernel;
    cl_mem buffer, image, part;
    unsigned rounds;
};

static uintptr_t lowest = UINTPTR_MAX, highest;

static void note(const void *handle)
{
    lowest = (uintptr_t)handle < lowest ? (uintptr_t)handle : lowest;
    highest = (uintptr_t)handle > highest ? (uintptr_t)handle : highest;
}

static void make_buffers(struct all *all)
{
    const cl_buffer_region region = {0, 1024};
    cl_int err;
    all->rounds = 0;
    all->buffer = work_buffer(&all->work, WORDS);
    all->part = clCreateSubBuffer(all->buffer, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &err);
    ok(err);
}

static void make(struct all *all)
{
    const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
    const cl_image_desc shape = {
        .image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 16, .image_height = 16};
    cl_int err;
    work_start(&all->work);
    all->kernel = work_kernel(&all->work);
    make_buffers(all);
    all->image = clCreateImage(all->work.context, CL_MEM_READ_WRITE, &format, &shape, NULL, &err);
    ok(err);
}

static void unmake(struct all *all)
{
    work_check(all->work.queue, all->buffer, WORDS, all->rounds);
    ok(clReleaseMemObject(all->image));
    ok(clReleaseMemObject(all->part));
    ok(clReleaseMemObject(all->buffer));
    ok(clReleaseKernel(all->kernel));
    work_end(&all->work);
}

static void check_image(struct all *all, unsigned char value)
{
    const size_t origin[3] = {0}, region[3] = {16, 16, 1};
    unsigned char bytes[16 * 16 * 4];
    const cl_uint color[4] = {value, 1, 2, 3};
    ok(clEnqueueFillImage(all->work.queue, all->image, color, origin, region, 0, NULL, NULL));
    ok(clEnqueueReadImage(all->work.queue, all->image, CL_TRUE, origin, region, 0, 0, bytes, 0,
                          NULL, NULL));
    expect(bytes[sizeof bytes - 4], value);
}

static void check_map(struct all *all)
{
    cl_int err;
    cl_command_queue queue = all->work.queue;
    cl_uint *words =
        clEnqueueMapBuffer(queue, all->part, CL_TRUE, CL_MAP_READ, 0, 1024, 0, NULL, NULL, &err);
    ok(err);
    expect(words[1], work_word(1, all->rounds));
    ok(clEnqueueUnmapMemObject(queue, all->part, words, 0, NULL, NULL));
}

static void one_round(struct all *all)
{
    cl_int err;
    cl_event gate = clCreateUserEvent(all->work.context, &err), done;
    ok(err);
    note(gate);
    ok(clEnqueueMarkerWithWaitList(all->work.queue, 1, &gate, &done));
    note(done);
    work_enqueue(all->work.queue, all->kernel, all->buffer, WORDS, all->rounds++, 1);
    ok(clSetUserEventStatus(gate, CL_COMPLETE));
    ok(clWaitForEvents(1, &done));
    ok(clReleaseEvent(gate));
    ok(clReleaseEvent(done));
    check_map(all);
    check_image(all, (unsigned char)all->rounds);
    cl_mem brief = work_buffer(&all->work, 64);
    note(brief);
    ok(clReleaseMemObject(brief));
    if (all->rounds == 64) { /* what they give is computed from the first one on */
        work_check(all->work.queue, all->buffer, WORDS, all->rounds);
        ok(clReleaseMemObject(all->part));
        ok(clReleaseMemObject(all->buffer));
        make_buffers(all);
    }
}

static int entries(const char *path)
{
    int count = 0;
    DIR *directory = opendir(path);
    while (directory && readdir(directory))
        count++;
    if (directory)
        closedir(directory);
    return count;
}

/* Lines of /proc/self/maps, and of memory the resident kB. */
static void read_memory(int *mappings, long *resident)
{
    char line[4352];
    FILE *file = fopen("/proc/self/maps", "r");
    for (*mappings = 0; file && fgets(line, sizeof line, file);)
        ++*mappings;
    if (file)
        fclose(file);
    file = fopen("/proc/self/smaps_rollup", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "Rss: %ld", resident) == 1)
            break;
    if (file)
        fclose(file);
}

static void say(void)
{
    int mappings;
    long resident = 0;
    read_memory(&mappings, &resident);
    printf("descriptors %d threads %d mappings %d memory %ld band %zu\n", entries("/proc/self/fd"),
           entries("/proc/self/task"), mappings, resident, (size_t)(highest - lowest));
}

int main(int argc, char **argv)
{
    bool anew = argc > 1 && strcmp(argv[1], "anew") == 0;
    struct all all;
    char line[64];
    setvbuf(stdout, NULL, _IOLBF, 0);
    make(&all);
    while (fgets(line, sizeof line, stdin)) {
        for (int i = 0, rounds = atoi(line); i < rounds; i++) {
            if (anew) {
                unmake(&all);
                make(&all);
            }
            one_round(&all);
        }
        say();
    }
    unmake(&all);
    return 0;
}
