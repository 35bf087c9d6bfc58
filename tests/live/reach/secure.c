/* SPDX-License-Identifier: Apache-2.0 */
/* A program that may be setuid: whether it is, the platforms it finds, and how many files lie in
 * each folder of its arguments while it uses OpenCL. */
#include <CL/cl.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/auxv.h>

static int count_files(const char *path)
{
    DIR *folder = opendir(path);
    int count = 0;
    if (!folder)
        return -1;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count - 2;
}

int main(int argc, char **argv)
{
    cl_platform_id platforms[16];
    cl_uint count = 0;
    clGetPlatformIDs(16, platforms, &count);
    printf("secure %lu\n", getauxval(AT_SECURE));
    for (cl_uint i = 0; i < count && i < 16; i++) {
        char name[256] = "";
        clGetPlatformInfo(platforms[i], CL_PLATFORM_NAME, sizeof name, name, NULL);
        printf("platform %s\n", name);
    }
    for (int i = 1; i < argc; i++)
        printf("%s %d\n", argv[i], count_files(argv[i]));
    return 0;
}
