/* SPDX-License-Identifier: Apache-2.0 */
/* Can another device do what the application was told that this one can? Only what it asked for
 * counts: the answers in the cache. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/query.h"

enum rule {
    AT_LEAST,  /* a number: the other must not be less */
    AT_MOST,   /* a number: the other must not be more (alignments) */
    EQUAL,     /* a number */
    BITS,      /* every bit must be there */
    SIZES,     /* an array of size_t, each at least */
    WORDS,     /* names with a space or semicolon between them: each must be there */
    NAMES,     /* an array of cl_name_version: each name must be there */
    VERSIONED, /* the same, with just that version */
    MEMBERS,   /* an array of words: each must be there */
    VERSION,   /* "OpenCL [C ]X.Y …" */
};

static const struct capability {
    cl_device_info param;
    enum rule rule;
    const char *what;
} capabilities[] = {
    {CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS, AT_LEAST, "work-item dimensions"},
    {CL_DEVICE_MAX_WORK_ITEM_SIZES, SIZES, "work-item sizes"},
    {CL_DEVICE_MAX_WORK_GROUP_SIZE, AT_LEAST, "largest work-group"},
    {CL_DEVICE_ADDRESS_BITS, EQUAL, "address bits"},
    {CL_DEVICE_ENDIAN_LITTLE, EQUAL, "little endian"},
    {CL_DEVICE_MAX_MEM_ALLOC_SIZE, AT_LEAST, "largest allocation"},
    {CL_DEVICE_GLOBAL_MEM_SIZE, AT_LEAST, "global memory"},
    {CL_DEVICE_LOCAL_MEM_SIZE, AT_LEAST, "local memory"},
    {CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE, AT_LEAST, "largest constant buffer"},
    {CL_DEVICE_MAX_CONSTANT_ARGS, AT_LEAST, "constant arguments"},
    {CL_DEVICE_MAX_PARAMETER_SIZE, AT_LEAST, "size of all kernel arguments"},
    {CL_DEVICE_MAX_GLOBAL_VARIABLE_SIZE, AT_LEAST, "largest program-scope variable"},
    {CL_DEVICE_MEM_BASE_ADDR_ALIGN, AT_MOST, "alignment of sub-buffers (bits)"},
    {CL_DEVICE_IMAGE_SUPPORT, AT_LEAST, "images"},
    {CL_DEVICE_MAX_READ_IMAGE_ARGS, AT_LEAST, "image arguments to read"},
    {CL_DEVICE_MAX_WRITE_IMAGE_ARGS, AT_LEAST, "image arguments to write"},
    {CL_DEVICE_MAX_READ_WRITE_IMAGE_ARGS, AT_LEAST, "image arguments to read and write"},
    {CL_DEVICE_IMAGE2D_MAX_WIDTH, AT_LEAST, "width of 2D images"},
    {CL_DEVICE_IMAGE2D_MAX_HEIGHT, AT_LEAST, "height of 2D images"},
    {CL_DEVICE_IMAGE3D_MAX_WIDTH, AT_LEAST, "width of 3D images"},
    {CL_DEVICE_IMAGE3D_MAX_HEIGHT, AT_LEAST, "height of 3D images"},
    {CL_DEVICE_IMAGE3D_MAX_DEPTH, AT_LEAST, "depth of 3D images"},
    {CL_DEVICE_IMAGE_MAX_BUFFER_SIZE, AT_LEAST, "size of images from buffers"},
    {CL_DEVICE_IMAGE_MAX_ARRAY_SIZE, AT_LEAST, "length of image arrays"},
    {CL_DEVICE_IMAGE_PITCH_ALIGNMENT, AT_MOST, "alignment of an image's rows (pixels)"},
    {CL_DEVICE_IMAGE_BASE_ADDRESS_ALIGNMENT, AT_MOST, "alignment of images (pixels)"},
    {CL_DEVICE_MAX_SAMPLERS, AT_LEAST, "samplers"},
    {CL_DEVICE_SINGLE_FP_CONFIG, BITS, "single precision"},
    {CL_DEVICE_DOUBLE_FP_CONFIG, BITS, "double precision (fp64)"},
    {CL_DEVICE_HALF_FP_CONFIG, BITS, "half precision (fp16)"},
    {CL_DEVICE_ERROR_CORRECTION_SUPPORT, AT_LEAST, "error correction"},
    {CL_DEVICE_AVAILABLE, AT_LEAST, "availability"},
    {CL_DEVICE_COMPILER_AVAILABLE, AT_LEAST, "a compiler"},
    {CL_DEVICE_LINKER_AVAILABLE, AT_LEAST, "a linker"},
    {CL_DEVICE_EXECUTION_CAPABILITIES, BITS, "execution of kernels"},
    {CL_DEVICE_QUEUE_ON_HOST_PROPERTIES, BITS, "properties of queues"},
    {CL_DEVICE_QUEUE_ON_DEVICE_PROPERTIES, BITS, "properties of queues on the device"},
    {CL_DEVICE_QUEUE_ON_DEVICE_MAX_SIZE, AT_LEAST, "size of queues on the device"},
    {CL_DEVICE_MAX_ON_DEVICE_QUEUES, AT_LEAST, "queues on the device"},
    {CL_DEVICE_MAX_ON_DEVICE_EVENTS, AT_LEAST, "events on the device"},
    {CL_DEVICE_DEVICE_ENQUEUE_CAPABILITIES, BITS, "enqueueing on the device"},
    {CL_DEVICE_MAX_PIPE_ARGS, AT_LEAST, "pipe arguments"},
    {CL_DEVICE_PIPE_SUPPORT, AT_LEAST, "pipes"},
    {CL_DEVICE_PIPE_MAX_PACKET_SIZE, AT_LEAST, "size of a pipe's packet"},
    {CL_DEVICE_SVM_CAPABILITIES, BITS, "shared virtual memory"},
    {CL_DEVICE_ATOMIC_MEMORY_CAPABILITIES, BITS, "atomic memory orders"},
    {CL_DEVICE_ATOMIC_FENCE_CAPABILITIES, BITS, "atomic fences"},
    {CL_DEVICE_MAX_NUM_SUB_GROUPS, AT_LEAST, "sub-groups in a work-group"},
    {CL_DEVICE_SUB_GROUP_INDEPENDENT_FORWARD_PROGRESS, AT_LEAST, "independent sub-groups"},
    {CL_DEVICE_NON_UNIFORM_WORK_GROUP_SUPPORT, AT_LEAST, "non-uniform work-groups"},
    {CL_DEVICE_WORK_GROUP_COLLECTIVE_FUNCTIONS_SUPPORT, AT_LEAST, "work-group functions"},
    {CL_DEVICE_GENERIC_ADDRESS_SPACE_SUPPORT, AT_LEAST, "the generic address space"},
    {CL_DEVICE_PARTITION_MAX_SUB_DEVICES, AT_LEAST, "sub-devices"},
    {CL_DEVICE_PARTITION_PROPERTIES, MEMBERS, "ways of making sub-devices"},
    {CL_DEVICE_PARTITION_AFFINITY_DOMAIN, BITS, "affinity domains"},
    {CL_DEVICE_PRINTF_BUFFER_SIZE, AT_LEAST, "size of the printf buffer"},
    {CL_DEVICE_VERSION, VERSION, "OpenCL version"},
    {CL_DEVICE_OPENCL_C_VERSION, VERSION, "OpenCL C version"},
    {CL_DEVICE_NUMERIC_VERSION, AT_LEAST, "OpenCL version (numeric)"},
    {CL_DEVICE_OPENCL_C_ALL_VERSIONS, VERSIONED, "OpenCL C version"},
    {CL_DEVICE_OPENCL_C_FEATURES, NAMES, "OpenCL C feature"},
    {CL_DEVICE_EXTENSIONS, WORDS, "extension"},
    {CL_DEVICE_EXTENSIONS_WITH_VERSION, NAMES, "extension"},
    {CL_DEVICE_IL_VERSION, WORDS, "intermediate language"},
    {CL_DEVICE_ILS_WITH_VERSION, VERSIONED, "intermediate language"},
    {CL_DEVICE_BUILT_IN_KERNELS, WORDS, "built-in kernel"},
    {CL_DEVICE_BUILT_IN_KERNELS_WITH_VERSION, NAMES, "built-in kernel"},
};

struct comparison {
    const char *what;
    void (*differs)(const char *what, void *data);
    void *data;
    int count;
};

static void say(struct comparison *to, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say(struct comparison *to, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    int length = snprintf(text, sizeof text, "%s: ", to->what);
    vsnprintf(text + length, sizeof text - (size_t)length, format, args);
    va_end(args);
    to->count++;
    if (to->differs)
        to->differs(text, to->data);
}

static void compare_number(struct comparison *to, enum rule rule, uint64_t told, uint64_t other)
{
    bool good = rule == AT_LEAST  ? other >= told
                : rule == AT_MOST ? other <= told
                : rule == EQUAL   ? other == told
                                  : (told & ~other) == 0;
    if (good)
        return;
    if (rule == BITS)
        say(to, "0x%" PRIx64 " told, 0x%" PRIx64 " there", told, other);
    else
        say(to, "%" PRIu64 " told, %" PRIu64 " there", told, other);
}

static void compare_sizes(struct comparison *to, const struct info_entry *told,
                          const struct reply *other)
{
    const size_t *a = (const void *)told->bytes, *b = other->bytes;
    for (size_t i = 0; i < told->size / sizeof *a; i++) {
        size_t there = i < other->size / sizeof *b ? b[i] : 0;
        if (there < a[i])
            say(to, "%zu told, %zu there, in dimension %zu", a[i], there, i);
    }
}

static void compare_members(struct comparison *to, const struct info_entry *told,
                            const struct reply *other)
{
    const intptr_t *a = (const void *)told->bytes, *b = other->bytes;
    size_t count = other->size / sizeof *b;
    for (size_t i = 0; i < told->size / sizeof *a; i++) {
        size_t j = 0;
        while (j < count && b[j] != a[i])
            j++;
        if (a[i] && j == count)
            say(to, "0x%" PRIxPTR " told, not there", (uintptr_t)a[i]);
    }
}

static bool has_word(const char *text, const char *word, size_t length)
{
    for (text += strspn(text, " ;"); *text;) {
        size_t size = strcspn(text, " ;");
        if (size == length && !memcmp(text, word, length))
            return true;
        text += size;
        text += strspn(text, " ;");
    }
    return false;
}

static void compare_words(struct comparison *to, const struct info_entry *told,
                          const struct reply *other)
{
    const char *word = (const char *)told->bytes;
    for (word += strspn(word, " ;"); *word;) {
        size_t length = strcspn(word, " ;");
        if (!has_word(other->bytes, word, length))
            say(to, "`%.*s` told, not there", (int)length, word);
        word += length;
        word += strspn(word, " ;");
    }
}

static void compare_names(struct comparison *to, bool versioned, const struct info_entry *told,
                          const struct reply *other)
{
    const cl_name_version *a = (const void *)told->bytes, *b = other->bytes;
    size_t count = other->size / sizeof *b;
    for (size_t i = 0; i < told->size / sizeof *a; i++) {
        size_t j = 0;
        while (j < count && (strncmp(a[i].name, b[j].name, sizeof a->name) != 0 ||
                             (versioned && a[i].version != b[j].version)))
            j++;
        if (j == count)
            say(to, "`%.*s` %u.%u told, not there", (int)sizeof a->name, a[i].name,
                CL_VERSION_MAJOR(a[i].version), CL_VERSION_MINOR(a[i].version));
    }
}

static unsigned version_number(const char *text)
{
    unsigned major = 0, minor = 0;
    text += strcspn(text, "0123456789");
    return sscanf(text, "%3u.%3u", &major, &minor) == 2 ? major * 1000 + minor : 0;
}

static void compare_one(struct comparison *to, enum rule rule, const struct info_entry *told,
                        const struct reply *other)
{
    switch (rule) {
    case SIZES:
        compare_sizes(to, told, other);
        break;
    case MEMBERS:
        compare_members(to, told, other);
        break;
    case WORDS:
        compare_words(to, told, other);
        break;
    case NAMES:
    case VERSIONED:
        compare_names(to, rule == VERSIONED, told, other);
        break;
    case VERSION:
        if (version_number(other->bytes) < version_number((const char *)told->bytes))
            say(to, "`%s` told, `%s` there", (const char *)told->bytes, (char *)other->bytes);
        break;
    default:
        compare_number(to, rule, reply_number(told->bytes, told->size),
                       reply_number(other->bytes, other->size));
    }
}

int device_compare(struct device *told, const struct driver *driver, cl_device_id other,
                   void (*differs)(const char *what, void *data), void *data)
{
    struct comparison to = {.differs = differs, .data = data};
    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++) {
        const struct capability *capability = &capabilities[i];
        const struct info_entry *entry = info_cache_find(&told->info, capability->param);
        if (!entry)
            continue;
        struct reply reply;
        const struct reply nothing = {(void *)"", 0};
        cl_int err = query_device(driver, other, capability->param, &reply);
        to.what = capability->what;
        compare_one(&to, capability->rule, entry, err == CL_SUCCESS ? &reply : &nothing);
        free(reply.bytes);
    }
    return to.count;
}
