/* SPDX-License-Identifier: Apache-2.0 */
/* Which extensions the application is told of: those without functions of their own, which need
 * nothing from us, and those whose functions we wrap. An unknown one may have functions that would
 * hand out the driver's handles, so it is not reported. */
#include <string.h>

#include "shim/dispatch.h"
#include "shim/export.h"

/* In the order of strcmp, for the search. Not here, since we don't wrap their functions:
 * semaphores, external memory, unified shared memory, everything shared with OpenGL, EGL, Direct3D
 * or VA-API, cl_khr_terminate_context, cl_pocl_content_size, cl_arm_import_memory, … */
static const char *const known[] = {
    "cl_amd_c11_atomics",
    "cl_amd_device_attribute_query",
    "cl_amd_device_board_name",
    "cl_amd_fp64",
    "cl_amd_image2d_from_buffer_read_only",
    "cl_amd_media_ops",
    "cl_amd_media_ops2",
    "cl_amd_popcnt",
    "cl_amd_predefined_macros",
    "cl_amd_printf",
    "cl_amd_vec3",
    "cl_arm_core_id",
    "cl_arm_get_core_id",
    "cl_arm_integer_dot_product_accumulate_int16",
    "cl_arm_integer_dot_product_accumulate_int8",
    "cl_arm_integer_dot_product_accumulate_saturate_int8",
    "cl_arm_integer_dot_product_int8",
    "cl_arm_non_uniform_work_group_size",
    "cl_arm_thread_limit_hint",
    "cl_ext_atomic_counters_32",
    "cl_ext_atomic_counters_64",
    "cl_ext_cxx_for_opencl",
    "cl_ext_device_fission",
    "cl_ext_float_atomics",
    "cl_ext_image_raw10_raw12",
    "cl_ext_image_unorm_int_2_101010",
    "cl_img_yuv_image",
    "cl_intel_bfloat16_conversions",
    "cl_intel_command_queue_families",
    "cl_intel_device_attribute_query",
    "cl_intel_device_partition_by_names",
    "cl_intel_device_side_avc_motion_estimation",
    "cl_intel_dot_accumulate",
    "cl_intel_driver_diagnostics",
    "cl_intel_exec_by_local_thread",
    "cl_intel_global_float_atomics",
    "cl_intel_media_block_io",
    "cl_intel_mem_force_host_memory",
    "cl_intel_packed_yuv",
    "cl_intel_planar_yuv",
    "cl_intel_printf",
    "cl_intel_queue_no_sync_operations",
    "cl_intel_required_subgroup_size",
    "cl_intel_spirv_device_side_avc_motion_estimation",
    "cl_intel_spirv_media_block_io",
    "cl_intel_spirv_subgroups",
    "cl_intel_split_work_group_barrier",
    "cl_intel_subgroup_2d_block_io",
    "cl_intel_subgroup_buffer_prefetch",
    "cl_intel_subgroup_extended_block_read",
    "cl_intel_subgroup_local_block_io",
    "cl_intel_subgroup_matrix_multiply_accumulate",
    "cl_intel_subgroup_matrix_multiply_accumulate_tf32",
    "cl_intel_subgroup_split_matrix_multiply_accumulate",
    "cl_intel_subgroups",
    "cl_intel_subgroups_char",
    "cl_intel_subgroups_long",
    "cl_intel_subgroups_short",
    "cl_intel_vec_len_hint",
    "cl_khr_3d_image_writes",
    "cl_khr_async_work_group_copy_fence",
    "cl_khr_byte_addressable_store",
    "cl_khr_command_buffer",
    "cl_khr_create_command_queue",
    "cl_khr_depth_images",
    "cl_khr_device_enqueue_local_arg_types",
    "cl_khr_device_uuid",
    "cl_khr_expect_assume",
    "cl_khr_extended_async_copies",
    "cl_khr_extended_bit_ops",
    "cl_khr_extended_versioning",
    "cl_khr_fp16",
    "cl_khr_fp64",
    "cl_khr_global_int32_base_atomics",
    "cl_khr_global_int32_extended_atomics",
    "cl_khr_icd",
    "cl_khr_il_program",
    "cl_khr_image2d_from_buffer",
    "cl_khr_initialize_memory",
    "cl_khr_int64_base_atomics",
    "cl_khr_int64_extended_atomics",
    "cl_khr_integer_dot_product",
    "cl_khr_kernel_clock",
    "cl_khr_local_int32_base_atomics",
    "cl_khr_local_int32_extended_atomics",
    "cl_khr_pci_bus_info",
    "cl_khr_priority_hints",
    "cl_khr_select_fprounding_mode",
    "cl_khr_spir",
    "cl_khr_spirv_extended_debug_info",
    "cl_khr_spirv_linkonce_odr",
    "cl_khr_spirv_no_integer_wrap_decoration",
    "cl_khr_spirv_queries",
    "cl_khr_srgb_image_writes",
    "cl_khr_subgroup_ballot",
    "cl_khr_subgroup_clustered_reduce",
    "cl_khr_subgroup_extended_types",
    "cl_khr_subgroup_named_barrier",
    "cl_khr_subgroup_non_uniform_arithmetic",
    "cl_khr_subgroup_non_uniform_vote",
    "cl_khr_subgroup_rotate",
    "cl_khr_subgroup_shuffle",
    "cl_khr_subgroup_shuffle_relative",
    "cl_khr_subgroups",
    "cl_khr_suggested_local_work_size",
    "cl_khr_throttle_hints",
    "cl_khr_work_group_uniform_arithmetic",
    "cl_nv_compiler_options",
    "cl_nv_copy_opts",
    "cl_nv_device_attribute_query",
    "cl_nv_kernel_attribute",
    "cl_nv_pragma_unroll",
    "cl_qcom_bitreverse",
    "cl_qcom_dot_product8",
    "cl_qcom_reqd_sub_group_size",
    "cl_qcom_subgroup_shuffle",
    "cl_qcom_vector_image_ops",
};

bool extension_known(const char *name, size_t length)
{
    size_t low = 0, high = sizeof known / sizeof *known;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strncmp(known[middle], name, length);
        if (order == 0)
            order = known[middle][length] != '\0';
        if (order == 0)
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* cl_khr_create_command_queue: for drivers before 2.0, whose own call it became then. */
cl_command_queue CL_API_CALL clCreateCommandQueueWithPropertiesKHR(
    cl_context context, cl_device_id device, const cl_queue_properties_khr *properties,
    cl_int *errcode_ret)
{
    return clCreateCommandQueueWithProperties(context, device, properties, errcode_ret);
}
