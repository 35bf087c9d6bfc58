/* SPDX-License-Identifier: Apache-2.0 */
/* The names of OpenCL's constants. */
#include "agent/cl_names.h"

#include <CL/cl.h>
#include <CL/cl_ext.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct entry {
    uint64_t value;
    const char *name;
};

#define N(name)                                                                                    \
    {                                                                                              \
        (uint64_t)(name), #name                                                                    \
    }
static const struct entry device_types[] = {
    N(CL_DEVICE_TYPE_DEFAULT),     N(CL_DEVICE_TYPE_CPU),    N(CL_DEVICE_TYPE_GPU),
    N(CL_DEVICE_TYPE_ACCELERATOR), N(CL_DEVICE_TYPE_CUSTOM),
};
static const struct entry mem_types[] = {
    N(CL_MEM_OBJECT_BUFFER),         N(CL_MEM_OBJECT_IMAGE2D), N(CL_MEM_OBJECT_IMAGE3D),
    N(CL_MEM_OBJECT_IMAGE2D_ARRAY),  N(CL_MEM_OBJECT_IMAGE1D), N(CL_MEM_OBJECT_IMAGE1D_ARRAY),
    N(CL_MEM_OBJECT_IMAGE1D_BUFFER), N(CL_MEM_OBJECT_PIPE),
};
static const struct entry mem_flags[] = {
    N(CL_MEM_READ_WRITE),      N(CL_MEM_WRITE_ONLY),
    N(CL_MEM_READ_ONLY),       N(CL_MEM_USE_HOST_PTR),
    N(CL_MEM_ALLOC_HOST_PTR),  N(CL_MEM_COPY_HOST_PTR),
    N(CL_MEM_HOST_WRITE_ONLY), N(CL_MEM_HOST_READ_ONLY),
    N(CL_MEM_HOST_NO_ACCESS),  N(CL_MEM_SVM_FINE_GRAIN_BUFFER),
    N(CL_MEM_SVM_ATOMICS),     N(CL_MEM_KERNEL_READ_AND_WRITE),
};
static const struct entry map_flags[] = {
    N(CL_MAP_READ),
    N(CL_MAP_WRITE),
    N(CL_MAP_WRITE_INVALIDATE_REGION),
};
static const struct entry channel_orders[] = {
    N(CL_R),    N(CL_A),     N(CL_RG),    N(CL_RA),        N(CL_RGB),
    N(CL_RGBA), N(CL_BGRA),  N(CL_ARGB),  N(CL_INTENSITY), N(CL_LUMINANCE),
    N(CL_Rx),   N(CL_RGx),   N(CL_RGBx),  N(CL_DEPTH),     N(CL_DEPTH_STENCIL),
    N(CL_sRGB), N(CL_sRGBx), N(CL_sRGBA), N(CL_sBGRA),     N(CL_ABGR),
};
static const struct entry channel_types[] = {
    N(CL_SNORM_INT8),       N(CL_SNORM_INT16),        N(CL_UNORM_INT8),
    N(CL_UNORM_INT16),      N(CL_UNORM_SHORT_565),    N(CL_UNORM_SHORT_555),
    N(CL_UNORM_INT_101010), N(CL_SIGNED_INT8),        N(CL_SIGNED_INT16),
    N(CL_SIGNED_INT32),     N(CL_UNSIGNED_INT8),      N(CL_UNSIGNED_INT16),
    N(CL_UNSIGNED_INT32),   N(CL_HALF_FLOAT),         N(CL_FLOAT),
    N(CL_UNORM_INT24),      N(CL_UNORM_INT_101010_2),
};
static const struct entry queue_flags[] = {
    N(CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE),
    N(CL_QUEUE_PROFILING_ENABLE),
    N(CL_QUEUE_ON_DEVICE),
    N(CL_QUEUE_ON_DEVICE_DEFAULT),
};
static const struct entry addressing_modes[] = {
    N(CL_ADDRESS_NONE),   N(CL_ADDRESS_CLAMP_TO_EDGE),   N(CL_ADDRESS_CLAMP),
    N(CL_ADDRESS_REPEAT), N(CL_ADDRESS_MIRRORED_REPEAT),
};
static const struct entry filter_modes[] = {
    N(CL_FILTER_NEAREST),
    N(CL_FILTER_LINEAR),
};
static const struct entry commands[] = {
    N(CL_COMMAND_NDRANGE_KERNEL),
    N(CL_COMMAND_TASK),
    N(CL_COMMAND_NATIVE_KERNEL),
    N(CL_COMMAND_READ_BUFFER),
    N(CL_COMMAND_WRITE_BUFFER),
    N(CL_COMMAND_COPY_BUFFER),
    N(CL_COMMAND_READ_IMAGE),
    N(CL_COMMAND_WRITE_IMAGE),
    N(CL_COMMAND_COPY_IMAGE),
    N(CL_COMMAND_COPY_IMAGE_TO_BUFFER),
    N(CL_COMMAND_COPY_BUFFER_TO_IMAGE),
    N(CL_COMMAND_MAP_BUFFER),
    N(CL_COMMAND_MAP_IMAGE),
    N(CL_COMMAND_UNMAP_MEM_OBJECT),
    N(CL_COMMAND_MARKER),
    N(CL_COMMAND_ACQUIRE_GL_OBJECTS),
    N(CL_COMMAND_RELEASE_GL_OBJECTS),
    N(CL_COMMAND_READ_BUFFER_RECT),
    N(CL_COMMAND_WRITE_BUFFER_RECT),
    N(CL_COMMAND_COPY_BUFFER_RECT),
    N(CL_COMMAND_USER),
    N(CL_COMMAND_BARRIER),
    N(CL_COMMAND_MIGRATE_MEM_OBJECTS),
    N(CL_COMMAND_FILL_BUFFER),
    N(CL_COMMAND_FILL_IMAGE),
    N(CL_COMMAND_SVM_FREE),
    N(CL_COMMAND_SVM_MEMCPY),
    N(CL_COMMAND_SVM_MEMFILL),
    N(CL_COMMAND_SVM_MAP),
    N(CL_COMMAND_SVM_UNMAP),
    N(CL_COMMAND_SVM_MIGRATE_MEM),
    N(CL_COMMAND_COMMAND_BUFFER_KHR),
};
static const struct entry statuses[] = {
    N(CL_COMPLETE),
    N(CL_RUNNING),
    N(CL_SUBMITTED),
    N(CL_QUEUED),
};
static const struct entry properties[] = {
    N(CL_CONTEXT_PLATFORM),           N(CL_CONTEXT_INTEROP_USER_SYNC),
    N(CL_QUEUE_PROPERTIES),           N(CL_QUEUE_SIZE),
    N(CL_SAMPLER_NORMALIZED_COORDS),  N(CL_SAMPLER_ADDRESSING_MODE),
    N(CL_SAMPLER_FILTER_MODE),        N(CL_DEVICE_PARTITION_EQUALLY),
    N(CL_DEVICE_PARTITION_BY_COUNTS), N(CL_DEVICE_PARTITION_BY_AFFINITY_DOMAIN),
    N(CL_QUEUE_PRIORITY_KHR),         N(CL_QUEUE_THROTTLE_KHR),
    N(CL_COMMAND_BUFFER_FLAGS_KHR),
};
/* Of clGet*Info; no two of them are alike. */
static const struct entry params[] = {
    N(CL_PLATFORM_PROFILE),
    N(CL_PLATFORM_VERSION),
    N(CL_PLATFORM_NAME),
    N(CL_PLATFORM_VENDOR),
    N(CL_PLATFORM_EXTENSIONS),
    N(CL_PLATFORM_HOST_TIMER_RESOLUTION),
    N(CL_PLATFORM_NUMERIC_VERSION),
    N(CL_PLATFORM_EXTENSIONS_WITH_VERSION),
    N(CL_DEVICE_TYPE),
    N(CL_DEVICE_VENDOR_ID),
    N(CL_DEVICE_MAX_COMPUTE_UNITS),
    N(CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS),
    N(CL_DEVICE_MAX_WORK_GROUP_SIZE),
    N(CL_DEVICE_MAX_WORK_ITEM_SIZES),
    N(CL_DEVICE_PREFERRED_VECTOR_WIDTH_CHAR),
    N(CL_DEVICE_PREFERRED_VECTOR_WIDTH_SHORT),
    N(CL_DEVICE_PREFERRED_VECTOR_WIDTH_INT),
    N(CL_DEVICE_PREFERRED_VECTOR_WIDTH_LONG),
    N(CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT),
    N(CL_DEVICE_PREFERRED_VECTOR_WIDTH_DOUBLE),
    N(CL_DEVICE_MAX_CLOCK_FREQUENCY),
    N(CL_DEVICE_ADDRESS_BITS),
    N(CL_DEVICE_MAX_READ_IMAGE_ARGS),
    N(CL_DEVICE_MAX_WRITE_IMAGE_ARGS),
    N(CL_DEVICE_MAX_MEM_ALLOC_SIZE),
    N(CL_DEVICE_IMAGE2D_MAX_WIDTH),
    N(CL_DEVICE_IMAGE2D_MAX_HEIGHT),
    N(CL_DEVICE_IMAGE3D_MAX_WIDTH),
    N(CL_DEVICE_IMAGE3D_MAX_HEIGHT),
    N(CL_DEVICE_IMAGE3D_MAX_DEPTH),
    N(CL_DEVICE_IMAGE_SUPPORT),
    N(CL_DEVICE_MAX_PARAMETER_SIZE),
    N(CL_DEVICE_MAX_SAMPLERS),
    N(CL_DEVICE_MEM_BASE_ADDR_ALIGN),
    N(CL_DEVICE_MIN_DATA_TYPE_ALIGN_SIZE),
    N(CL_DEVICE_SINGLE_FP_CONFIG),
    N(CL_DEVICE_GLOBAL_MEM_CACHE_TYPE),
    N(CL_DEVICE_GLOBAL_MEM_CACHELINE_SIZE),
    N(CL_DEVICE_GLOBAL_MEM_CACHE_SIZE),
    N(CL_DEVICE_GLOBAL_MEM_SIZE),
    N(CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE),
    N(CL_DEVICE_MAX_CONSTANT_ARGS),
    N(CL_DEVICE_LOCAL_MEM_TYPE),
    N(CL_DEVICE_LOCAL_MEM_SIZE),
    N(CL_DEVICE_ERROR_CORRECTION_SUPPORT),
    N(CL_DEVICE_PROFILING_TIMER_RESOLUTION),
    N(CL_DEVICE_ENDIAN_LITTLE),
    N(CL_DEVICE_AVAILABLE),
    N(CL_DEVICE_COMPILER_AVAILABLE),
    N(CL_DEVICE_EXECUTION_CAPABILITIES),
    N(CL_DEVICE_QUEUE_PROPERTIES),
    N(CL_DEVICE_NAME),
    N(CL_DEVICE_VENDOR),
    N(CL_DEVICE_PROFILE),
    N(CL_DEVICE_VERSION),
    N(CL_DEVICE_EXTENSIONS),
    N(CL_DEVICE_PLATFORM),
    N(CL_DEVICE_DOUBLE_FP_CONFIG),
    N(CL_DEVICE_HALF_FP_CONFIG),
    N(CL_DEVICE_PREFERRED_VECTOR_WIDTH_HALF),
    N(CL_DEVICE_HOST_UNIFIED_MEMORY),
    N(CL_DEVICE_NATIVE_VECTOR_WIDTH_CHAR),
    N(CL_DEVICE_NATIVE_VECTOR_WIDTH_SHORT),
    N(CL_DEVICE_NATIVE_VECTOR_WIDTH_INT),
    N(CL_DEVICE_NATIVE_VECTOR_WIDTH_LONG),
    N(CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT),
    N(CL_DEVICE_NATIVE_VECTOR_WIDTH_DOUBLE),
    N(CL_DEVICE_NATIVE_VECTOR_WIDTH_HALF),
    N(CL_DEVICE_OPENCL_C_VERSION),
    N(CL_DEVICE_LINKER_AVAILABLE),
    N(CL_DEVICE_BUILT_IN_KERNELS),
    N(CL_DEVICE_IMAGE_MAX_BUFFER_SIZE),
    N(CL_DEVICE_IMAGE_MAX_ARRAY_SIZE),
    N(CL_DEVICE_PARENT_DEVICE),
    N(CL_DEVICE_PARTITION_MAX_SUB_DEVICES),
    N(CL_DEVICE_PARTITION_PROPERTIES),
    N(CL_DEVICE_PARTITION_AFFINITY_DOMAIN),
    N(CL_DEVICE_PARTITION_TYPE),
    N(CL_DEVICE_REFERENCE_COUNT),
    N(CL_DEVICE_PREFERRED_INTEROP_USER_SYNC),
    N(CL_DEVICE_PRINTF_BUFFER_SIZE),
    N(CL_DEVICE_IMAGE_PITCH_ALIGNMENT),
    N(CL_DEVICE_IMAGE_BASE_ADDRESS_ALIGNMENT),
    N(CL_DEVICE_MAX_READ_WRITE_IMAGE_ARGS),
    N(CL_DEVICE_MAX_GLOBAL_VARIABLE_SIZE),
    N(CL_DEVICE_QUEUE_ON_DEVICE_PROPERTIES),
    N(CL_DEVICE_QUEUE_ON_DEVICE_PREFERRED_SIZE),
    N(CL_DEVICE_QUEUE_ON_DEVICE_MAX_SIZE),
    N(CL_DEVICE_MAX_ON_DEVICE_QUEUES),
    N(CL_DEVICE_MAX_ON_DEVICE_EVENTS),
    N(CL_DEVICE_SVM_CAPABILITIES),
    N(CL_DEVICE_GLOBAL_VARIABLE_PREFERRED_TOTAL_SIZE),
    N(CL_DEVICE_MAX_PIPE_ARGS),
    N(CL_DEVICE_PIPE_MAX_ACTIVE_RESERVATIONS),
    N(CL_DEVICE_PIPE_MAX_PACKET_SIZE),
    N(CL_DEVICE_PREFERRED_PLATFORM_ATOMIC_ALIGNMENT),
    N(CL_DEVICE_PREFERRED_GLOBAL_ATOMIC_ALIGNMENT),
    N(CL_DEVICE_PREFERRED_LOCAL_ATOMIC_ALIGNMENT),
    N(CL_DEVICE_IL_VERSION),
    N(CL_DEVICE_MAX_NUM_SUB_GROUPS),
    N(CL_DEVICE_SUB_GROUP_INDEPENDENT_FORWARD_PROGRESS),
    N(CL_DEVICE_NUMERIC_VERSION),
    N(CL_DEVICE_EXTENSIONS_WITH_VERSION),
    N(CL_DEVICE_ILS_WITH_VERSION),
    N(CL_DEVICE_BUILT_IN_KERNELS_WITH_VERSION),
    N(CL_DEVICE_ATOMIC_MEMORY_CAPABILITIES),
    N(CL_DEVICE_ATOMIC_FENCE_CAPABILITIES),
    N(CL_DEVICE_NON_UNIFORM_WORK_GROUP_SUPPORT),
    N(CL_DEVICE_OPENCL_C_ALL_VERSIONS),
    N(CL_DEVICE_PREFERRED_WORK_GROUP_SIZE_MULTIPLE),
    N(CL_DEVICE_WORK_GROUP_COLLECTIVE_FUNCTIONS_SUPPORT),
    N(CL_DEVICE_GENERIC_ADDRESS_SPACE_SUPPORT),
    N(CL_DEVICE_OPENCL_C_FEATURES),
    N(CL_DEVICE_DEVICE_ENQUEUE_CAPABILITIES),
    N(CL_DEVICE_PIPE_SUPPORT),
    N(CL_DEVICE_LATEST_CONFORMANCE_VERSION_PASSED),
    N(CL_PROGRAM_REFERENCE_COUNT),
    N(CL_PROGRAM_CONTEXT),
    N(CL_PROGRAM_NUM_DEVICES),
    N(CL_PROGRAM_DEVICES),
    N(CL_PROGRAM_SOURCE),
    N(CL_PROGRAM_BINARY_SIZES),
    N(CL_PROGRAM_BINARIES),
    N(CL_PROGRAM_NUM_KERNELS),
    N(CL_PROGRAM_KERNEL_NAMES),
    N(CL_PROGRAM_IL),
    N(CL_PROGRAM_SCOPE_GLOBAL_CTORS_PRESENT),
    N(CL_PROGRAM_SCOPE_GLOBAL_DTORS_PRESENT),
    N(CL_PROGRAM_BUILD_STATUS),
    N(CL_PROGRAM_BUILD_OPTIONS),
    N(CL_PROGRAM_BUILD_LOG),
    N(CL_PROGRAM_BINARY_TYPE),
    N(CL_PROGRAM_BUILD_GLOBAL_VARIABLE_TOTAL_SIZE),
    N(CL_KERNEL_FUNCTION_NAME),
    N(CL_KERNEL_NUM_ARGS),
    N(CL_KERNEL_REFERENCE_COUNT),
    N(CL_KERNEL_CONTEXT),
    N(CL_KERNEL_PROGRAM),
    N(CL_KERNEL_ATTRIBUTES),
    N(CL_KERNEL_ARG_ADDRESS_QUALIFIER),
    N(CL_KERNEL_ARG_ACCESS_QUALIFIER),
    N(CL_KERNEL_ARG_TYPE_NAME),
    N(CL_KERNEL_ARG_TYPE_QUALIFIER),
    N(CL_KERNEL_ARG_NAME),
    N(CL_KERNEL_WORK_GROUP_SIZE),
    N(CL_KERNEL_COMPILE_WORK_GROUP_SIZE),
    N(CL_KERNEL_LOCAL_MEM_SIZE),
    N(CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE),
    N(CL_KERNEL_PRIVATE_MEM_SIZE),
    N(CL_KERNEL_GLOBAL_WORK_SIZE),
    N(CL_KERNEL_EXEC_INFO_SVM_PTRS),
    N(CL_KERNEL_EXEC_INFO_SVM_FINE_GRAIN_SYSTEM),
    N(CL_KERNEL_LOCAL_SIZE_FOR_SUB_GROUP_COUNT),
    N(CL_KERNEL_MAX_NUM_SUB_GROUPS),
    N(CL_KERNEL_COMPILE_NUM_SUB_GROUPS),
};
#undef N

static const struct {
    const struct entry *list;
    size_t count;
    bool bits;
} tables[] = {
#define TABLE(list, bits)                                                                          \
    {                                                                                              \
        list, sizeof(list) / sizeof *(list), bits                                                  \
    }
    [CL_NAMES_DEVICE_TYPE] = TABLE(device_types, true),
    [CL_NAMES_MEM_TYPE] = TABLE(mem_types, false),
    [CL_NAMES_MEM_FLAGS] = TABLE(mem_flags, true),
    [CL_NAMES_MAP_FLAGS] = TABLE(map_flags, true),
    [CL_NAMES_CHANNEL_ORDER] = TABLE(channel_orders, false),
    [CL_NAMES_CHANNEL_TYPE] = TABLE(channel_types, false),
    [CL_NAMES_QUEUE_FLAGS] = TABLE(queue_flags, true),
    [CL_NAMES_ADDRESSING] = TABLE(addressing_modes, false),
    [CL_NAMES_FILTER] = TABLE(filter_modes, false),
    [CL_NAMES_COMMAND] = TABLE(commands, false),
    [CL_NAMES_STATUS] = TABLE(statuses, false),
    [CL_NAMES_PROPERTY] = TABLE(properties, false),
    [CL_NAMES_PARAM] = TABLE(params, false),
#undef TABLE
};

static const char *find(enum cl_names names, uint64_t value)
{
    for (size_t i = 0; i < tables[names].count; i++)
        if (tables[names].list[i].value == value)
            return tables[names].list[i].name;
    return NULL;
}

static void append(char *out, size_t size, const char *name)
{
    size_t used = strlen(out);
    snprintf(out + used, size - used, "%s%s", used ? " | " : "", name);
}

static void append_number(char *out, size_t size, uint64_t value)
{
    char number[24];
    bool is_negative = (int64_t)value < 0;
    if (is_negative)
        snprintf(number, sizeof number, "%" PRId64, (int64_t)value);
    else
        snprintf(number, sizeof number, "0x%" PRIx64, value);
    append(out, size, number);
}

const char *cl_name(enum cl_names names, uint64_t value, char *out, size_t size)
{
    const char *name = find(names, value);
    *out = 0;
    if (name || !tables[names].bits) {
        if (name)
            append(out, size, name);
        else
            append_number(out, size, value);
        return out;
    }
    for (int bit = 0; bit < 64; bit++) {
        uint64_t mask = UINT64_C(1) << bit;
        name = value & mask ? find(names, mask) : NULL;
        if (name)
            append(out, size, name);
        value &= name ? ~mask : UINT64_MAX;
    }
    if (value || !*out)
        append_number(out, size, value);
    return out;
}
