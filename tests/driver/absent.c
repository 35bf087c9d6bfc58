/* SPDX-License-Identifier: Apache-2.0 */
/* What this GPU does not have: shared virtual memory (but see extras.c), sharing with OpenGL. */
#include "tests/driver/driver.h"

/* A call that counts, can be made to fail, and is refused otherwise. */
#define REFUSE(name, parameters)                                                                   \
    cl_int CL_API_CALL name parameters                                                             \
    {                                                                                              \
        cl_int err = call_begin(CALL_##name, 0);                                                   \
        return err == CL_SUCCESS ? CL_INVALID_OPERATION : err;                                     \
    }
#define REFUSE_CREATE(name, parameters)                                                            \
    cl_mem CL_API_CALL name parameters                                                             \
    {                                                                                              \
        cl_int err = call_begin(CALL_##name, 0);                                                   \
        return failed(errcode_ret, err == CL_SUCCESS ? CL_INVALID_OPERATION : err);                \
    }

REFUSE(clEnqueueSVMFree,
       (cl_command_queue queue, cl_uint count, void **pointers,
        void(CL_CALLBACK *notify)(cl_command_queue, cl_uint, void **, void *), void *user_data,
        cl_uint num_waits, const cl_event *waits, cl_event *event))
REFUSE(clEnqueueSVMMemcpy, (cl_command_queue queue, cl_bool blocking, void *to, const void *from,
                            size_t size, cl_uint num_waits, const cl_event *waits, cl_event *event))
REFUSE(clEnqueueSVMMemFill,
       (cl_command_queue queue, void *pointer, const void *pattern, size_t pattern_size,
        size_t size, cl_uint num_waits, const cl_event *waits, cl_event *event))
REFUSE(clEnqueueSVMMap,
       (cl_command_queue queue, cl_bool blocking, cl_map_flags flags, void *pointer, size_t size,
        cl_uint num_waits, const cl_event *waits, cl_event *event))
REFUSE(clEnqueueSVMUnmap, (cl_command_queue queue, void *pointer, cl_uint num_waits,
                           const cl_event *waits, cl_event *event))
REFUSE(clEnqueueSVMMigrateMem,
       (cl_command_queue queue, cl_uint count, const void **pointers, const size_t *sizes,
        cl_mem_migration_flags flags, cl_uint num_waits, const cl_event *waits, cl_event *event))
REFUSE(clSetKernelArgSVMPointer, (cl_kernel kernel, cl_uint index, const void *pointer))
REFUSE(clSetKernelExecInfo,
       (cl_kernel kernel, cl_kernel_exec_info param, size_t size, const void *value))

REFUSE_CREATE(clCreateFromGLBuffer,
              (cl_context context, cl_mem_flags flags, cl_GLuint buffer, cl_int *errcode_ret))
REFUSE_CREATE(clCreateFromGLTexture, (cl_context context, cl_mem_flags flags, cl_GLenum target,
                                      cl_GLint level, cl_GLuint texture, cl_int *errcode_ret))
REFUSE_CREATE(clCreateFromGLTexture2D, (cl_context context, cl_mem_flags flags, cl_GLenum target,
                                        cl_GLint level, cl_GLuint texture, cl_int *errcode_ret))
REFUSE_CREATE(clCreateFromGLTexture3D, (cl_context context, cl_mem_flags flags, cl_GLenum target,
                                        cl_GLint level, cl_GLuint texture, cl_int *errcode_ret))
REFUSE_CREATE(clCreateFromGLRenderbuffer,
              (cl_context context, cl_mem_flags flags, cl_GLuint buffer, cl_int *errcode_ret))
REFUSE(clGetGLObjectInfo, (cl_mem object, cl_gl_object_type *type, cl_GLuint *name))
REFUSE(clGetGLTextureInfo,
       (cl_mem object, cl_gl_texture_info param, size_t space, void *value, size_t *size_ret))
REFUSE(clEnqueueAcquireGLObjects, (cl_command_queue queue, cl_uint count, const cl_mem *objects,
                                   cl_uint num_waits, const cl_event *waits, cl_event *event))
REFUSE(clEnqueueReleaseGLObjects, (cl_command_queue queue, cl_uint count, const cl_mem *objects,
                                   cl_uint num_waits, const cl_event *waits, cl_event *event))
