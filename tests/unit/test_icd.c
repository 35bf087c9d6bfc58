/* SPDX-License-Identifier: Apache-2.0 */
/* Where drivers are found, what is skipped and said, and in which order platforms come. Each test
 * has a folder of its own, which is also where bare and relative names start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/icd.h"

#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/shadowcl-icd-XXXXXX";
static char myself[PATH_MAX];
static struct icd_list list;
static struct error err;

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static const char *path_of(const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void set(const char *name, const char *value)
{
    assert_int_equal(setenv(name, value, 1), 0);
}

static void find(bool icd_mode)
{
    icd_finish(&list);
    assert_int_equal(icd_find(&list, icd_mode, &err), 0);
}

static void assert_paths(size_t count, const char *const *paths)
{
    for (size_t i = 0; i < list.count && i < count; i++)
        assert_string_equal(list.paths[i], paths[i]);
    assert_int_equal(list.count, count);
}

#define assert_found(...)                                                                          \
    assert_paths(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *),                           \
                 (const char *[]){__VA_ARGS__})

static void assert_warned(const char *words)
{
    for (size_t i = 0; i < list.num_warnings; i++)
        if (strstr(list.warnings[i], words))
            return;
    fail_msg("no warning says `%s`", words);
}

static int set_up(void **state)
{
    static const char *const variables[] = {
        "SHADOWCL_DRIVERS",      "OCL_ICD_FILENAMES",        "OCL_ICD_VENDORS",
        "OCL_ICD_PLATFORM_SORT", "OCL_ICD_DEFAULT_PLATFORM", "OCL_ICD_ASSUME_ICD_EXTENSION",
    };
    for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
        unsetenv(variables[i]);
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    if (!mkdtemp(folder) || chdir(folder) != 0 || mkdir("vendors", 0700) != 0)
        return -1;
    return setenv("OPENCL_VENDOR_PATH", path_of("vendors"), 1);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    return remove(path);
}

static int tear_down(void **state)
{
    icd_finish(&list);
    return chdir("/") || nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void vendors_directory(void **state)
{
    write_file("vendors/a.icd", "libdriver.so.1\nsecond line\n");
    write_file("vendors/b.icd.bak", "libother.so\n");
    write_file("vendors/.icd", "libother.so\n");
    find(false);
    assert_found("libdriver.so.1");
    assert_int_equal(list.num_warnings, 0);
}

static void directory_order_is_the_loaders(void **state)
{
    char names[64] = "";
    for (char c = 'z'; c > 'p'; c--) {
        char file[] = "vendors/?.icd", text[] = "lib?.so";
        file[8] = text[3] = c;
        write_file(file, text);
    }
    find(false);
    assert_int_equal(list.count, 10);
    FILE *listing = popen("ls -U vendors", "r");
    for (size_t i = 0; i < list.count; i++) {
        assert_non_null(fgets(names, sizeof(names), listing));
        assert_int_equal(names[0], list.paths[i][3]);
    }
    pclose(listing);
    set("SHADOWCL_DRIVERS", path_of("vendors"));
    find(false);
    assert_int_equal(list.count, 10);
    for (size_t i = 0; i < list.count; i++)
        assert_int_equal(list.paths[i][3], 'q' + (int)i);
}

static void bad_files_hide_no_others(void **state)
{
    char text[PATH_MAX + 100];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    write_file("vendors/empty.icd", "");
    write_file("vendors/blank.icd", "\nlibx.so\n");
    write_file("vendors/long.icd", text);
    write_file("vendors/junk.icd", "\177ELF\002\001\n");
    write_file("vendors/gone.icd", "/nowhere/libdriver.so\n");
    write_file("vendors/good.icd", "  libgood.so \r\n");
    assert_int_equal(mkdir("vendors/folder.icd", 0700), 0);
    assert_int_equal(mkfifo("vendors/fifo.icd", 0600), 0);
    assert_int_equal(symlink("nowhere", "vendors/link.icd"), 0);
    find(false);
    assert_found("libgood.so");
    assert_int_equal(list.num_warnings, 8);
    assert_warned("vendors/empty.icd: its first line is not the name of a library");
    assert_warned("gone.icd: driver `/nowhere/libdriver.so`: No such file");
    assert_warned("folder.icd: not a regular file");
    assert_warned("fifo.icd: not a regular file");
    assert_warned("link.icd: No such file");
}

static void a_place_without_drivers_is_said(void **state)
{
    find(false);
    assert_int_equal(list.count, 0);
    assert_warned("no .icd file in this directory");
    set("OPENCL_VENDOR_PATH", "/nowhere");
    find(false);
    assert_warned("/nowhere: No such file");
    set("OCL_ICD_VENDORS", "/nowhere/libdriver.so");
    find(false);
    assert_int_equal(list.count, 0);
    assert_warned("OCL_ICD_VENDORS: driver `/nowhere/libdriver.so`");
}

static void vendors_variable(void **state)
{
    write_file("vendors/a.icd", "libvendor.so\n");
    write_file("a.icd", "liblocal.so\n");
    write_file("b.icd", "libb.so\n");
    mkdir("others", 0700);
    write_file("others/c.icd", "libc-driver.so\n");
    set("OCL_ICD_VENDORS", "a.icd");
    find(false);
    assert_found("libvendor.so");
    set("OCL_ICD_VENDORS", "./a.icd");
    find(false);
    assert_found("liblocal.so");
    set("OCL_ICD_VENDORS", "b.icd");
    find(false);
    assert_found("libb.so");
    set("OCL_ICD_VENDORS", "others");
    find(false);
    assert_found("libc-driver.so");
    set("OCL_ICD_VENDORS", "libdirect.so.2");
    find(false);
    assert_found("libdirect.so.2");
    set("OCL_ICD_VENDORS", "");
    find(false);
    assert_found("libvendor.so");
}

static void filenames_come_first(void **state)
{
    write_file("vendors/a.icd", "libvendor.so\n");
    set("OCL_ICD_FILENAMES", "libone.so::libtwo.so:libvendor.so");
    find(false);
    assert_found("libone.so", "libtwo.so", "libvendor.so");
}

static void own_setting_overrides(void **state)
{
    write_file("vendors/a.icd", "libvendor.so\n");
    write_file("x.icd", "libx.so\n");
    set("OCL_ICD_FILENAMES", "libone.so");
    set("OCL_ICD_VENDORS", "libtwo.so");
    set("SHADOWCL_DRIVERS", "libthree.so:x.icd:vendors:missing.icd");
    find(false);
    assert_found("libthree.so", "libx.so", "libvendor.so");
    assert_warned("missing.icd: No such file");
}

static void each_library_once(void **state)
{
    char text[PATH_MAX];
    write_file("libdriver.so", "");
    assert_int_equal(symlink("libdriver.so", "libdriver.so.1"), 0);
    snprintf(text, sizeof(text), "%s/libdriver.so:%s/libdriver.so.1:libx.so:libx.so", folder,
             folder);
    set("SHADOWCL_DRIVERS", text);
    find(false);
    assert_found(path_of("libdriver.so"), "libx.so");
}

static void we_are_skipped(void **state)
{
    assert_int_equal(symlink(myself, "libsecret.so"), 0);
    write_file("vendors/a.icd", "libvendor.so\n");
    write_file("vendors/self.icd", path_of("libsecret.so"));
    find(false);
    assert_found("libvendor.so");
    /* Another build of ours, by where it lies. */
    mkdir("shadowcl", 0700);
    write_file("shadowcl/libOpenCL.so.1", "");
    write_file("vendors/self.icd", path_of("shadowcl/libOpenCL.so.1"));
    find(false);
    assert_found("libvendor.so");
    /* A driver that has the loader's name is a driver. */
    write_file("libOpenCL.so.1", "");
    write_file("vendors/self.icd", path_of("libOpenCL.so.1"));
    set("SHADOWCL_DRIVERS", "vendors");
    find(false);
    assert_found("libvendor.so", path_of("libOpenCL.so.1"));
    set("SHADOWCL_DRIVERS", myself);
    find(false);
    assert_int_equal(list.count, 0);
    assert_warned("names shadowcl itself");
}

static void places_for_the_loader_above(void **state)
{
    write_file("vendors/a.icd", "libvendor.so\n");
    write_file("self.icd", myself);
    mkdir("mixed", 0700);
    write_file("mixed/self.icd", myself);
    write_file("mixed/other.icd", "libother.so\n");
    set("OCL_ICD_VENDORS", "./self.icd");
    find(true);
    assert_found("libvendor.so");
    find(false); /* it names nothing else: the same */
    assert_found("libvendor.so");
    set("OCL_ICD_VENDORS", "mixed");
    find(true);
    assert_found("libvendor.so");
    find(false);
    assert_found("libother.so");
    set("OCL_ICD_VENDORS", "libthird.so");
    find(true);
    assert_found("libthird.so");
    char names[PATH_MAX + 16];
    snprintf(names, sizeof(names), "libone.so:%s", myself);
    set("OCL_ICD_FILENAMES", names);
    find(true);
    assert_found("libthird.so");
    find(false);
    assert_found("libone.so", "libthird.so");
}

/* Fake platforms: the handle's number says what it has, as GPUs * 100 + CPUs * 10 + others. */
static int asked;

static cl_int CL_API_CALL get_devices(cl_platform_id platform, cl_device_type type,
                                      cl_uint num_entries, cl_device_id *devices,
                                      cl_uint *num_devices)
{
    cl_uint number = (cl_uint)(uintptr_t)platform;
    cl_uint gpus = number / 100 % 10, cpus = number / 10 % 10, others = number % 10;
    cl_uint all = gpus + cpus + others;
    cl_uint count = type == CL_DEVICE_TYPE_GPU ? gpus : type == CL_DEVICE_TYPE_CPU ? cpus : all;
    asked++;
    *num_devices = count ? count : 77; /* what a failed call leaves there counts for nothing */
    return count ? CL_SUCCESS : CL_DEVICE_NOT_FOUND;
}

static const cl_icd_dispatch fake_calls = {.clGetDeviceIDs = get_devices};

static void assert_sorted(size_t count, const unsigned *before, const unsigned *after)
{
    struct icd_platform platforms[8] = {0};
    for (size_t i = 0; i < count; i++) {
        platforms[i].id = (cl_platform_id)(uintptr_t)before[i];
        platforms[i].calls = &fake_calls;
    }
    icd_sort_platforms(platforms, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal((uintptr_t)platforms[i].id, after[i]);
}

static void platforms_by_devices(void **state)
{
    /* The thousands tell equal platforms apart. */
    const unsigned before[] = {1000, 1010, 2010, 100, 12, 200, 2};
    const unsigned after[] = {200, 100, 12, 1010, 2010, 2, 1000};
    assert_sorted(7, before, after);
    set("OCL_ICD_PLATFORM_SORT", "no such order");
    assert_sorted(7, before, after);
    set("OCL_ICD_PLATFORM_SORT", "none");
    asked = 0;
    assert_sorted(7, before, before);
    unsetenv("OCL_ICD_PLATFORM_SORT");
    assert_sorted(1, before, before);
    assert_int_equal(asked, 0);
}

static void default_platform(void **state)
{
    assert_int_equal(icd_default_platform(3), 0);
    assert_int_equal(icd_default_platform(0), 0);
    set("OCL_ICD_DEFAULT_PLATFORM", "2");
    assert_int_equal(icd_default_platform(3), 2);
    const char *const wrong[] = {"3", "-1", "", "1x", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        set("OCL_ICD_DEFAULT_PLATFORM", wrong[i]);
        assert_int_equal(icd_default_platform(3), 3);
    }
}

static void assumed_extension(void **state)
{
    assert_false(icd_assume_extension());
    set("OCL_ICD_ASSUME_ICD_EXTENSION", "");
    assert_false(icd_assume_extension());
    set("OCL_ICD_ASSUME_ICD_EXTENSION", "debug");
    assert_true(icd_assume_extension());
}

#define icd_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        icd_test(vendors_directory),        icd_test(directory_order_is_the_loaders),
        icd_test(bad_files_hide_no_others), icd_test(a_place_without_drivers_is_said),
        icd_test(vendors_variable),         icd_test(filenames_come_first),
        icd_test(own_setting_overrides),    icd_test(each_library_once),
        icd_test(we_are_skipped),           icd_test(places_for_the_loader_above),
        icd_test(platforms_by_devices),     icd_test(default_platform),
        icd_test(assumed_extension),
    };
    ssize_t length = readlink("/proc/self/exe", myself, sizeof(myself) - 1);
    if (length < 0)
        return 1;
    /* The tests leave this folder: a relative name would not lead back here. */
    if (argv[0][0] != '/')
        return execl(myself, myself, (char *)NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
