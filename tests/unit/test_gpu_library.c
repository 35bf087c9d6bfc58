/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries by which GPUs are used otherwise than with OpenCL are known by their names as vendors
 * have them; loaders, which programs are linked with, and OpenCL drivers are not taken for such. A
 * library with nothing in it is loaded under each name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shim/gpu_library.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MOST 4

/* A row is one sort. */
static const char *const sorts[][MOST] = {
    {"libEGL_nvidia.so.0", "libEGL_mesa.so.0"},
    {"libGLX_nvidia.so.0", "libGLX_mesa.so.0"},
    {"libvulkan_radeon.so", "libvulkan_intel.so", "libvulkan_lvp.so"},
    {"libnvidia-glcore.so.535.183.01"},
    {"libnvidia-eglcore.so.535.183.01"},
    {"libgallium-25.0.7-2.so"},
    {"iris_dri.so", "radeonsi_dri.so", "swrast_dri.so"},
    {"libgbm.so.1"},
    {"iHD_drv_video.so", "i965_drv_video.so", "radeonsi_drv_video.so", "nvidia_drv_video.so"},
    {"libvdpau_nvidia.so", "libvdpau_nvidia.so.1", "libvdpau_radeonsi.so.1"},
    {"libnvcuvid.so.1"},
    {"libnvidia-encode.so.1"},
    {"libmfxhw64.so.1"},
    {"libmfx-gen.so.1.2"},
    {"libcuda.so.1", "libcuda.so.535.183.01"},
    {"libamdhip64.so.5"},
    {"libze_intel_gpu.so.1"},
    {"libnvidia-ml.so.1"},
    {"librocm_smi64.so.5"},
};

static const char *const others[] = {
    /* Loaders. */
    "libEGL.so.1",
    "libGL.so.1",
    "libGLX.so.0",
    "libGLdispatch.so.0",
    "libvulkan.so.1",
    "libOpenCL.so.1",
    "libva.so.2",
    "libva-drm.so.2",
    "libvdpau.so.1",
    "libvpl.so.2",
    "libmfx.so.1",
    "libze_loader.so.1",
    "libcudart.so.12",
    "libdrm.so.2",
    /* OpenCL drivers, and what they load. */
    "libnvidia-opencl.so.1",
    "libnvidia-ptxjitcompiler.so.1",
    "libpocl.so.2",
    "libRusticlOpenCL.so.1",
    "libamdocl64.so",
    "libigdrcl.so",
    /* Nearly such names. */
    "mylibcuda.so.1",
    "iris_dri.so.bak",
};

/* The name of the folder does not count. */
static char folder[] = "/tmp/libEGL_nvidia.so-XXXXXX";

struct answer {
    uint32_t sorts;
    char name[64];
};

static struct answer ask_with(const char *name)
{
    char path[PATH_MAX];
    struct answer answer;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(symlink(EMPTY_LIBRARY, path), 0);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    assert_int_equal(unlink(path), 0);
    assert_non_null(library);
    answer.sorts = gpu_libraries();
    gpu_library_name(answer.sorts, answer.name, sizeof answer.name);
    assert_int_equal(dlclose(library), 0);
    assert_int_equal(gpu_libraries(), 0);
    return answer;
}

static void test_names_of_one_sort_are_one_bit(void **state)
{
    uint32_t seen = 0;
    for (size_t i = 0; i < sizeof sorts / sizeof *sorts; i++) {
        uint32_t sort = ask_with(sorts[i][0]).sorts;
        if (!sort || sort & (sort - 1) || sort & seen)
            fail_msg("%s: %#x, after %#x", sorts[i][0], sort, seen);
        seen |= sort;
        for (size_t j = 0; j < MOST && sorts[i][j]; j++) {
            struct answer answer = ask_with(sorts[i][j]);
            assert_string_equal(answer.name, sorts[i][j]);
            assert_int_equal(answer.sorts, sort);
        }
    }
}

static void test_loaders_and_drivers_are_none(void **state)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct answer answer = ask_with(others[i]);
        if (answer.sorts)
            fail_msg("%s: %#x", others[i], answer.sorts);
        assert_string_equal(answer.name, "");
    }
}

static int set_up(void **state)
{
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_one_sort_are_one_bit),
        cmocka_unit_test(test_loaders_and_drivers_are_none),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
