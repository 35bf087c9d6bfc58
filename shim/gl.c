/* SPDX-License-Identifier: Apache-2.0 */
/* Sharing with OpenGL and EGL: what is shared lies in another library's hands and can't be carried.
 * We don't report these extensions; whoever calls all the same is told that they are not there. */
#include <CL/cl_egl.h>
#include <CL/cl_gl.h>

#include "shim/export.h"
#include "state/event.h"
#include "state/mem.h"

static cl_mem refuse_create(cl_context context, cl_int *errcode_ret)
{
    if (errcode_ret)
        *errcode_ret = context_check(context) ? CL_INVALID_OPERATION : CL_INVALID_CONTEXT;
    return NULL;
}

static cl_event refuse_event(cl_context context, cl_int *errcode_ret)
{
    refuse_create(context, errcode_ret);
    return NULL;
}

static cl_int refuse_enqueue(cl_command_queue queue, cl_uint num_mems, const cl_mem *mems,
                             cl_uint num_waits, const cl_event *waits)
{
    if (!queue_check(queue))
        return CL_INVALID_COMMAND_QUEUE;
    for (cl_uint i = 0; i < num_mems && mems; i++)
        if (!mem_check(mems[i]))
            return CL_INVALID_MEM_OBJECT;
    for (cl_uint i = 0; i < num_waits && waits; i++)
        if (!event_check(waits[i]))
            return CL_INVALID_EVENT_WAIT_LIST;
    return CL_INVALID_OPERATION;
}

static cl_int refuse_query(cl_mem mem)
{
    return mem_check(mem) ? CL_INVALID_GL_OBJECT : CL_INVALID_MEM_OBJECT;
}

EXPORT cl_mem CL_API_CALL clCreateFromGLBuffer(cl_context context, cl_mem_flags flags,
                                               cl_GLuint bufobj, cl_int *errcode_ret)
{
    return refuse_create(context, errcode_ret);
}

EXPORT cl_mem CL_API_CALL clCreateFromGLTexture(cl_context context, cl_mem_flags flags,
                                                cl_GLenum target, cl_GLint miplevel,
                                                cl_GLuint texture, cl_int *errcode_ret)
{
    return refuse_create(context, errcode_ret);
}

EXPORT cl_mem CL_API_CALL clCreateFromGLTexture2D(cl_context context, cl_mem_flags flags,
                                                  cl_GLenum target, cl_GLint miplevel,
                                                  cl_GLuint texture, cl_int *errcode_ret)
{
    return refuse_create(context, errcode_ret);
}

EXPORT cl_mem CL_API_CALL clCreateFromGLTexture3D(cl_context context, cl_mem_flags flags,
                                                  cl_GLenum target, cl_GLint miplevel,
                                                  cl_GLuint texture, cl_int *errcode_ret)
{
    return refuse_create(context, errcode_ret);
}

EXPORT cl_mem CL_API_CALL clCreateFromGLRenderbuffer(cl_context context, cl_mem_flags flags,
                                                     cl_GLuint renderbuffer, cl_int *errcode_ret)
{
    return refuse_create(context, errcode_ret);
}

EXPORT cl_int CL_API_CALL clGetGLObjectInfo(cl_mem memobj, cl_gl_object_type *gl_object_type,
                                            cl_GLuint *gl_object_name)
{
    return refuse_query(memobj);
}

EXPORT cl_int CL_API_CALL clGetGLTextureInfo(cl_mem memobj, cl_gl_texture_info param_name,
                                             size_t param_value_size, void *param_value,
                                             size_t *param_value_size_ret)
{
    return refuse_query(memobj);
}

EXPORT cl_int CL_API_CALL clEnqueueAcquireGLObjects(cl_command_queue command_queue,
                                                    cl_uint num_objects, const cl_mem *mem_objects,
                                                    cl_uint num_events_in_wait_list,
                                                    const cl_event *event_wait_list,
                                                    cl_event *event)
{
    return refuse_enqueue(command_queue, num_objects, mem_objects, num_events_in_wait_list,
                          event_wait_list);
}

EXPORT cl_int CL_API_CALL clEnqueueReleaseGLObjects(cl_command_queue command_queue,
                                                    cl_uint num_objects, const cl_mem *mem_objects,
                                                    cl_uint num_events_in_wait_list,
                                                    const cl_event *event_wait_list,
                                                    cl_event *event)
{
    return refuse_enqueue(command_queue, num_objects, mem_objects, num_events_in_wait_list,
                          event_wait_list);
}

EXPORT cl_int CL_API_CALL clGetGLContextInfoKHR(const cl_context_properties *properties,
                                                cl_gl_context_info param_name,
                                                size_t param_value_size, void *param_value,
                                                size_t *param_value_size_ret)
{
    return CL_INVALID_OPERATION;
}

EXPORT cl_event CL_API_CALL clCreateEventFromGLsyncKHR(cl_context context, cl_GLsync sync,
                                                       cl_int *errcode_ret)
{
    return refuse_event(context, errcode_ret);
}

EXPORT cl_mem CL_API_CALL clCreateFromEGLImageKHR(cl_context context, CLeglDisplayKHR egldisplay,
                                                  CLeglImageKHR eglimage, cl_mem_flags flags,
                                                  const cl_egl_image_properties_khr *properties,
                                                  cl_int *errcode_ret)
{
    return refuse_create(context, errcode_ret);
}

EXPORT cl_int CL_API_CALL clEnqueueAcquireEGLObjectsKHR(
    cl_command_queue command_queue, cl_uint num_objects, const cl_mem *mem_objects,
    cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event)
{
    return refuse_enqueue(command_queue, num_objects, mem_objects, num_events_in_wait_list,
                          event_wait_list);
}

EXPORT cl_int CL_API_CALL clEnqueueReleaseEGLObjectsKHR(
    cl_command_queue command_queue, cl_uint num_objects, const cl_mem *mem_objects,
    cl_uint num_events_in_wait_list, const cl_event *event_wait_list, cl_event *event)
{
    return refuse_enqueue(command_queue, num_objects, mem_objects, num_events_in_wait_list,
                          event_wait_list);
}

EXPORT cl_event CL_API_CALL clCreateEventFromEGLSyncKHR(cl_context context, CLeglSyncKHR sync,
                                                        CLeglDisplayKHR display,
                                                        cl_int *errcode_ret)
{
    return refuse_event(context, errcode_ret);
}
