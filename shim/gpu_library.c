/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries of other uses of GPUs: see gpu_library.h. */
#include "shim/gpu_library.h"

#include <limits.h>
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

/* The name without its folder; empty where there is none. The only one who reads what is the
 * dynamic loader's, under that one's lock: the thread sanitizer, who does not see that lock, is
 * told not to look at this function (tests/sanitizers/tsan.supp). */
static __attribute__((noinline)) size_t copy_library_name(const struct dl_phdr_info *info,
                                                          char name[NAME_MAX + 1])
{
    const char *slash = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;
    int length = snprintf(name, NAME_MAX + 1, "%s", slash ? slash + 1 : "");
    return length > NAME_MAX ? NAME_MAX : (size_t)length;
}

static int look_at(struct dl_phdr_info *info, size_t size, void *data)
{
    struct search *search = data;
    char name[NAME_MAX + 1];
    size_t length = copy_library_name(info, name);
    for (unsigned i = 0; length && i < sizeof sorts_of / sizeof *sorts_of; i++)
        if (search->wanted >> i & 1 && matches(&sorts_of[i], name, length)) {
            if (search->name && !search->found)
                snprintf(search->name, search->size, "%s", name);
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
