/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries of other uses of GPUs: see gpu_library.h. */
#include "shim/gpu_library.h"

#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* How the name begins, and how it ends. */
static const struct sort {
    const char *start, *end;
} sorts_of[] = {
    /* GL, EGL, GLX and Vulkan: what the loaders load. */
    {"libEGL_", ""},
    {"libGLX_", ""},
    {"libvulkan_", ""},
    {"libnvidia-glcore.so", ""},
    {"libnvidia-eglcore.so", ""},
    {"libgallium-", ""},
    {"", "_dri.so"},
    {"libgbm.so", ""},
    /* VA-API, VDPAU, and the vendors' ways to video. */
    {"", "_drv_video.so"},
    {"libvdpau_", ""},
    {"libnvcuvid.so", ""},
    {"libnvidia-encode.so", ""},
    {"libmfxhw64.so", ""},
    {"libmfx-gen.so", ""},
    /* Computing, and looking at the device. */
    {"libcuda.so", ""},
    {"libamdhip64.so", ""},
    {"libze_intel_gpu.so", ""},
    {"libnvidia-ml.so", ""},
    {"librocm_smi64.so", ""},
};

static bool matches(const struct sort *sort, const char *name, size_t length)
{
    size_t end = strlen(sort->end);
    return strncmp(name, sort->start, strlen(sort->start)) == 0 && length >= end &&
           strcmp(name + length - end, sort->end) == 0;
}

struct search {
    uint32_t wanted, found;
    char *name; /* of the first; may be NULL */
    size_t size;
};

static int look_at(struct dl_phdr_info *info, size_t size, void *data)
{
    struct search *search = data;
    const char *slash = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;
    if (!slash)
        return 0;
    size_t length = strlen(slash + 1);
    for (unsigned i = 0; i < sizeof sorts_of / sizeof *sorts_of; i++)
        if (search->wanted >> i & 1 && matches(&sorts_of[i], slash + 1, length)) {
            if (search->name && !search->found)
                snprintf(search->name, search->size, "%s", slash + 1);
            search->found |= UINT32_C(1) << i;
        }
    return 0;
}

uint32_t gpu_libraries(void)
{
    struct search search = {.wanted = UINT32_MAX};
    dl_iterate_phdr(look_at, &search);
    return search.found;
}

void gpu_library_name(uint32_t sorts, char *name, size_t size)
{
    struct search search = {.wanted = sorts, .name = name, .size = size};
    if (size)
        *name = 0;
    dl_iterate_phdr(look_at, &search);
}
