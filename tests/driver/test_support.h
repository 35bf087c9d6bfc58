/* SPDX-License-Identifier: Apache-2.0 */
/* For the test driver's own tests: the driver loaded without any loader, its nodes, its faults. */
#ifndef TESTS_DRIVER_TEST_SUPPORT_H
#define TESTS_DRIVER_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <CL/cl_icd.h>
#include <cmocka.h>

#define NODE_SIZE ((size_t)16 << 20)
#define COUNT ((size_t)1024)

struct setup {
    void *library;
    const cl_icd_dispatch *cl;
    cl_platform_id platform;
    cl_device_id devices[4];
    cl_uint num_devices;
    cl_context context;
    cl_command_queue queue;
};

/* Paths in a directory of this process's own. */
extern char node[128], node2[128], faults[128], log_file[128], sysfs[128];

int support_begin(void **state);
int support_end(void **state);
/* A fresh node, a fault file without faults, the environment as every test finds it. */
int test_begin(void **state);
int test_end(void **state);

void make_node(const char *path, size_t size);
/* Plugs a PCI device into a sysfs of the test's own. */
void plug(const char *address, const char *vendor, const char *kind, size_t size);
void unplug(const char *address);
void tell(const char *lines);
cl_int try_load(struct setup *s, const char *library);
void load(struct setup *s, const char *library);
void open_context(struct setup *s);
void close_context(struct setup *s);
void unload(struct setup *s);
/* Does a line of /proc/self/maps or a link of /proc/self/fd contain this? */
bool is_mapped(const char *what);
/* By its code: a sanitizer that reports something maps the file too, to read its symbols. */
bool is_loaded(const char *library);
bool is_open(const char *what);
bool node_contains(const char *path, const void *bytes, size_t size);
/* Adds two vectors on the device and compares. */
void check_vector_add(struct setup *s);
cl_kernel make_kernel(struct setup *s, const char *source, const char *name);

#define must(call) assert_int_equal(call, CL_SUCCESS)

extern const struct CMUnitTest fault_tests[];
extern const size_t num_fault_tests;

#endif
