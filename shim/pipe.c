/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.4: pipes. What is in one can't be read by the host: a suspend is refused while
 * there is one, so that the real pipe is always there to be asked. */
#include "shim/export.h"
#include "shim/gate.h"
#include "state/mem.h"

static cl_mem create_pipe(struct context *context, cl_mem_flags flags, cl_uint packet_size,
                          cl_uint max_packets, const cl_pipe_properties *properties, cl_int *status)
{
    *status = CL_INVALID_CONTEXT;
    if (!context)
        return NULL;
    const struct driver *driver = context->object.driver;
    *status = CL_INVALID_OPERATION;
    if (!driver->clCreatePipe)
        return NULL;
    struct mem *mem = mem_create(context, NULL, CL_MEM_OBJECT_PIPE,
                                 flags ? flags : CL_MEM_READ_WRITE | CL_MEM_HOST_NO_ACCESS,
                                 (size_t)packet_size * max_packets);
    *status = CL_OUT_OF_HOST_MEMORY;
    if (!mem)
        return NULL;
    mem->object.refusal = "what is in a pipe can't be read back";
    mem->object.real = driver->clCreatePipe(context_real(context), flags, packet_size, max_packets,
                                            properties, status);
    if (*status != CL_SUCCESS) {
        mem_discard(mem);
        return NULL;
    }
    object_publish(mem);
    return (cl_mem)mem;
}

EXPORT cl_mem CL_API_CALL clCreatePipe(cl_context context, cl_mem_flags flags,
                                       cl_uint pipe_packet_size, cl_uint pipe_max_packets,
                                       const cl_pipe_properties *properties, cl_int *errcode_ret)
{
    GATE(clCreatePipe);
    cl_int status;
    cl_mem pipe = create_pipe(context_check(context), flags, pipe_packet_size, pipe_max_packets,
                              properties, &status);
    if (errcode_ret)
        *errcode_ret = status;
    return pipe;
}

EXPORT cl_int CL_API_CALL clGetPipeInfo(cl_mem pipe, cl_pipe_info param_name,
                                        size_t param_value_size, void *param_value,
                                        size_t *param_value_size_ret)
{
    struct mem *mem = mem_check(pipe);
    if (!mem || mem->type != CL_MEM_OBJECT_PIPE)
        return CL_INVALID_MEM_OBJECT;
    GATE(clGetPipeInfo);
    if (!mem->object.driver->clGetPipeInfo)
        return CL_INVALID_OPERATION;
    return mem->object.driver->clGetPipeInfo(mem_real(mem), param_name, param_value_size,
                                             param_value, param_value_size_ret);
}
