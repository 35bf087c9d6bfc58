/* SPDX-License-Identifier: Apache-2.0 */
/* A program that links OpenCL. With `--ask` it asks for platforms, and prints the microseconds to
 * the first answer; without it never calls OpenCL. With `--threads` it never does either, and
 * prints how many threads it has. */
#include <CL/cl.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

static int ask(void)
{
    cl_uint count = 0;
    double start = now_us();
    if (clGetPlatformIDs(0, NULL, &count) != CL_SUCCESS || count == 0)
        return 1;
    printf("%.1f\n", now_us() - start);
    return 0;
}

static int count_threads(void)
{
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; tasks && (entry = readdir(tasks));)
        count += entry->d_name[0] != '.';
    if (tasks)
        closedir(tasks);
    printf("%d\n", count);
    return count == 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--ask") == 0)
        return ask();
    if (argc > 1 && strcmp(argv[1], "--threads") == 0)
        return count_threads();
    return 0;
}
