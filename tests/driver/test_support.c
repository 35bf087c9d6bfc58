/* SPDX-License-Identifier: Apache-2.0 */
/* For the test driver's own tests: the driver loaded without any loader, its nodes, its faults. */
#include "tests/driver/test_support.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char node[128], node2[128], faults[128], log_file[128], sysfs[128];
static char directory[64];

int support_begin(void **state)
{
    strcpy(directory, "/tmp/testdriver.XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(node, sizeof node, "%s/node0", directory);
    snprintf(node2, sizeof node2, "%s/node1", directory);
    snprintf(faults, sizeof faults, "%s/faults", directory);
    snprintf(log_file, sizeof log_file, "%s/log", directory);
    snprintf(sysfs, sizeof sysfs, "%s/sysfs", directory);
    return 0;
}

int support_end(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}

void make_node(const char *path, size_t size)
{
    unlink(path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    close(fd);
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%s\n", text);
    fclose(file);
}

void plug(const char *address, const char *vendor, const char *kind, size_t size)
{
    char folder[256], path[512], command[512];
    snprintf(folder, sizeof folder, "%s/bus/pci/devices/%s", sysfs, address);
    snprintf(command, sizeof command, "mkdir -p %s", folder);
    assert_int_equal(system(command), 0);
    put(folder, "vendor", vendor);
    put(folder, "device", kind);
    put(folder, "enable", "0");
    snprintf(path, sizeof path, "%s/resource2", folder);
    make_node(path, size);
}

void unplug(const char *address)
{
    char command[512];
    snprintf(command, sizeof command, "rm -r %s/bus/pci/devices/%s", sysfs, address);
    assert_int_equal(system(command), 0);
}

void tell(const char *lines)
{
    FILE *file = fopen(faults, "w");
    assert_non_null(file);
    fputs(lines, file);
    fclose(file);
}

int test_begin(void **state)
{
    make_node(node, NODE_SIZE);
    tell("");
    setenv("SHADOWCL_TEST_DEVICE", node, 1);
    setenv("SHADOWCL_TEST_FAULTS", faults, 1);
    unsetenv("SHADOWCL_TEST_BAR");
    unsetenv("SHADOWCL_TEST_SYSFS");
    unsetenv("SHADOWCL_TEST_CAPS");
    unsetenv("SHADOWCL_TEST_NAME");
    unsetenv("SHADOWCL_TEST_LINE");
    return 0;
}

int test_end(void **state)
{
    unlink(node);
    unlink(node2);
    unlink(log_file);
    return 0;
}

cl_int try_load(struct setup *s, const char *library)
{
    memset(s, 0, sizeof *s);
    s->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!s->library)
        fail_msg("%s", dlerror());
    cl_api_clGetExtensionFunctionAddress find;
    *(void **)&find = dlsym(s->library, "clGetExtensionFunctionAddress");
    assert_non_null(find);
    cl_int (*get_platforms)(cl_uint, cl_platform_id *, cl_uint *);
    *(void **)&get_platforms = find("clIcdGetPlatformIDsKHR");
    assert_non_null(get_platforms);
    cl_int err = get_platforms(1, &s->platform, NULL);
    if (err == CL_SUCCESS)
        s->cl = *(const cl_icd_dispatch **)s->platform;
    return err;
}

void load(struct setup *s, const char *library)
{
    must(try_load(s, library));
    must(s->cl->clGetDeviceIDs(s->platform, CL_DEVICE_TYPE_GPU, 4, s->devices, &s->num_devices));
}

void open_context(struct setup *s)
{
    cl_int err;
    s->context = s->cl->clCreateContext(NULL, 1, s->devices, NULL, NULL, &err);
    must(err);
    s->queue = s->cl->clCreateCommandQueueWithProperties(s->context, s->devices[0], NULL, &err);
    must(err);
}

void close_context(struct setup *s)
{
    must(s->cl->clReleaseCommandQueue(s->queue));
    must(s->cl->clReleaseContext(s->context));
}

void unload(struct setup *s)
{
    assert_int_equal(dlclose(s->library), 0);
}

static bool maps_have(const char *what, const char *access)
{
    char line[PATH_MAX + 128];
    bool found = false;
    FILE *file = fopen("/proc/self/maps", "re");
    while (file && fgets(line, sizeof line, file))
        found |= strstr(line, what) && strstr(line, access);
    if (file)
        fclose(file);
    return found;
}

bool is_mapped(const char *what)
{
    return maps_have(what, " ");
}

bool is_loaded(const char *library)
{
    return maps_have(library, " r-xp ");
}

bool is_open(const char *what)
{
    bool found = false;
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char link[PATH_MAX] = "";
        if (readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1) > 0)
            found |= strstr(link, what) != NULL;
    }
    if (dir)
        closedir(dir);
    return found;
}

bool node_contains(const char *path, const void *bytes, size_t size)
{
    char *all = malloc(NODE_SIZE);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = read(fd, all, NODE_SIZE);
    close(fd);
    bool found = got > 0 && memmem(all, got, bytes, size);
    free(all);
    return found;
}

cl_kernel make_kernel(struct setup *s, const char *source, const char *name)
{
    cl_int err;
    cl_program program = s->cl->clCreateProgramWithSource(s->context, 1, &source, NULL, &err);
    must(err);
    must(s->cl->clBuildProgram(program, 0, NULL, "", NULL, NULL));
    cl_kernel kernel = s->cl->clCreateKernel(program, name, &err);
    must(err);
    must(s->cl->clReleaseProgram(program));
    return kernel;
}

void check_vector_add(struct setup *s)
{
    const char *source = "kernel void add(global const int *a, global const int *b, global int *c)"
                         "{ size_t i = get_global_id(0); c[i] = a[i] + b[i]; }";
    cl_kernel kernel = make_kernel(s, source, "add");
    int data[3][COUNT] = {0};
    cl_mem buffers[3];
    cl_event event;
    size_t count = COUNT;
    for (size_t i = 0; i < COUNT; i++) {
        data[0][i] = (int)i;
        data[1][i] = (int)(7 * i);
    }
    for (cl_uint i = 0; i < 3; i++) {
        cl_int err;
        buffers[i] =
            s->cl->clCreateBuffer(s->context, CL_MEM_COPY_HOST_PTR, sizeof data[i], data[i], &err);
        must(err);
        must(s->cl->clSetKernelArg(kernel, i, sizeof(cl_mem), &buffers[i]));
    }
    must(s->cl->clEnqueueNDRangeKernel(s->queue, kernel, 1, NULL, &count, NULL, 0, NULL, &event));
    must(s->cl->clEnqueueReadBuffer(s->queue, buffers[2], CL_TRUE, 0, sizeof data[2], data[2], 1,
                                    &event, NULL));
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(data[2][i], 8 * i);
    must(s->cl->clReleaseEvent(event));
    must(s->cl->clReleaseKernel(kernel));
    for (int i = 0; i < 3; i++)
        must(s->cl->clReleaseMemObject(buffers[i]));
}
