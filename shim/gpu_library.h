/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries by which a program uses GPUs otherwise than with OpenCL: those that are there only when
 * such a use has begun (a vendor's part of GL, Vulkan or VA-API, not the loaders that programs are
 * linked with), in the program's own namespace. Each sort is a bit. */
#ifndef SHADOWCL_SHIM_GPU_LIBRARY_H
#define SHADOWCL_SHIM_GPU_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

uint32_t gpu_libraries(void);
/* The file name of one of these; empty where there is none. */
void gpu_library_name(uint32_t sorts, char *name, size_t size);

#endif
