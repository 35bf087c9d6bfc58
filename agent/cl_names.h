/* SPDX-License-Identifier: Apache-2.0 */
/* The names of OpenCL's constants. */
#ifndef SHADOWCL_AGENT_CL_NAMES_H
#define SHADOWCL_AGENT_CL_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cl_names {
    CL_NAMES_DEVICE_TYPE,
    CL_NAMES_MEM_TYPE,
    CL_NAMES_MEM_FLAGS,
    CL_NAMES_MAP_FLAGS,
    CL_NAMES_CHANNEL_ORDER,
    CL_NAMES_CHANNEL_TYPE,
    CL_NAMES_QUEUE_FLAGS,
    CL_NAMES_ADDRESSING,
    CL_NAMES_FILTER,
    CL_NAMES_COMMAND,
    CL_NAMES_STATUS,
    CL_NAMES_PROPERTY,
    CL_NAMES_PARAM, /* of clGet*Info */
};

enum { CL_NAME_SIZE = 512 };

/* "CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR"; what has no name as a number. Returns `out`. */
const char *cl_name(enum cl_names names, uint64_t value, char *out, size_t size);

#endif
