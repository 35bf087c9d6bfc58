/* SPDX-License-Identifier: Apache-2.0 */
/* CASE(call, parameter, kinds, error, expression): every handle that goes into a call, in the order
 * of shim/calls.h. `kinds` are those that are right there, and `error` is what the specification
 * names for every other `handle`. EXTENSION: the same by `function`, of a driver that has it.
 * wrong_table.py compares this list with the headers. */

#define IN_LIST 1, (cl_event *)&handle, NULL
#define NO_WAITS 0, NULL, NULL
#define INFO 0, NULL, &size
/* For what gives an object: its error. */
#define ERROR_OF(...) ((__VA_ARGS__) ? CL_SUCCESS : err)

CASE(clGetPlatformInfo, platform, PLATFORM | NOTHING, CL_INVALID_PLATFORM,
     clGetPlatformInfo(handle, CL_PLATFORM_NAME, INFO))
CASE(clGetDeviceIDs, platform, PLATFORM | NOTHING, CL_INVALID_PLATFORM,
     clGetDeviceIDs(handle, CL_DEVICE_TYPE_ALL, 0, NULL, &number))
CASE(clGetDeviceInfo, device, DEVICE, CL_INVALID_DEVICE,
     clGetDeviceInfo(handle, CL_DEVICE_NAME, INFO))
CASE(clGetDeviceAndHostTimer, device, DEVICE, CL_INVALID_DEVICE,
     clGetDeviceAndHostTimer(handle, &times[0], &times[1]))
CASE(clGetHostTimer, device, DEVICE, CL_INVALID_DEVICE, clGetHostTimer(handle, &times[0]))
CASE(clCreateSubDevices, in_device, DEVICE, CL_INVALID_DEVICE,
     clCreateSubDevices(handle, equally, 0, NULL, &number))
CASE(clRetainDevice, device, DEVICE, CL_INVALID_DEVICE, clRetainDevice(handle))
CASE(clReleaseDevice, device, DEVICE, CL_INVALID_DEVICE, clReleaseDevice(handle))
CASE(clCreateContext, devices, DEVICE, CL_INVALID_DEVICE,
     ERROR_OF(clCreateContext(NULL, 1, (cl_device_id *)&handle, NULL, NULL, &err)))
CASE(clCreateContext, properties, PLATFORM, CL_INVALID_PLATFORM,
     ERROR_OF(clCreateContext(on_platform(handle), 1, &live.device, NULL, NULL, &err)))
CASE(clCreateContextFromType, properties, PLATFORM, CL_INVALID_PLATFORM,
     ERROR_OF(clCreateContextFromType(on_platform(handle), CL_DEVICE_TYPE_ALL, NULL, NULL, &err)))
CASE(clRetainContext, context, CONTEXT, CL_INVALID_CONTEXT, clRetainContext(handle))
CASE(clReleaseContext, context, CONTEXT, CL_INVALID_CONTEXT, clReleaseContext(handle))
CASE(clGetContextInfo, context, CONTEXT, CL_INVALID_CONTEXT,
     clGetContextInfo(handle, CL_CONTEXT_DEVICES, INFO))
CASE(clSetContextDestructorCallback, context, CONTEXT, CL_INVALID_CONTEXT,
     clSetContextDestructorCallback(handle, told_context, NULL))

CASE(clCreateCommandQueueWithProperties, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateCommandQueueWithProperties(handle, live.device, NULL, &err)))
CASE(clCreateCommandQueueWithProperties, device, DEVICE, CL_INVALID_DEVICE,
     ERROR_OF(clCreateCommandQueueWithProperties(live.context, handle, NULL, &err)))
CASE(clCreateCommandQueue, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateCommandQueue(handle, live.device, 0, &err)))
CASE(clCreateCommandQueue, device, DEVICE, CL_INVALID_DEVICE,
     ERROR_OF(clCreateCommandQueue(live.context, handle, 0, &err)))
CASE(clSetDefaultDeviceCommandQueue, context, CONTEXT, CL_INVALID_CONTEXT,
     clSetDefaultDeviceCommandQueue(handle, live.device, live.queue))
CASE(clSetDefaultDeviceCommandQueue, device, DEVICE, CL_INVALID_DEVICE,
     clSetDefaultDeviceCommandQueue(live.context, handle, live.queue))
/* A device without such queues is named first. */
CASE(clSetDefaultDeviceCommandQueue, command_queue, QUEUE | UNTRIED, CL_INVALID_COMMAND_QUEUE,
     device_queues ? clSetDefaultDeviceCommandQueue(live.context, live.device, handle) : ABSENT)
CASE(clRetainCommandQueue, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clRetainCommandQueue(handle))
CASE(clReleaseCommandQueue, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clReleaseCommandQueue(handle))
CASE(clGetCommandQueueInfo, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clGetCommandQueueInfo(handle, CL_QUEUE_DEVICE, INFO))
CASE(clSetCommandQueueProperty, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clSetCommandQueueProperty(handle, CL_QUEUE_PROFILING_ENABLE, CL_FALSE, NULL))

CASE(clCreateBuffer, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateBuffer(handle, 0, 16, NULL, &err)))
CASE(clCreateBufferWithProperties, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateBufferWithProperties(handle, NULL, 0, 16, NULL, &err)))
CASE(clCreateSubBuffer, buffer, BUFFER, CL_INVALID_MEM_OBJECT,
     ERROR_OF(clCreateSubBuffer(handle, 0, CL_BUFFER_CREATE_TYPE_REGION, &part, &err)))
CASE(clEnqueueReadBuffer, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueReadBuffer(handle, buffer, CL_TRUE, 0, 4, bytes, NO_WAITS))
CASE(clEnqueueReadBuffer, buffer, BUFFER, CL_INVALID_MEM_OBJECT,
     clEnqueueReadBuffer(live.queue, handle, CL_TRUE, 0, 4, bytes, NO_WAITS))
CASE(clEnqueueReadBuffer, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueReadBuffer(live.queue, buffer, CL_TRUE, 0, 4, bytes, IN_LIST))
CASE(clEnqueueWriteBuffer, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueWriteBuffer(handle, buffer, CL_TRUE, 0, 4, bytes, NO_WAITS))
CASE(clEnqueueWriteBuffer, buffer, BUFFER, CL_INVALID_MEM_OBJECT,
     clEnqueueWriteBuffer(live.queue, handle, CL_TRUE, 0, 4, bytes, NO_WAITS))
CASE(clEnqueueWriteBuffer, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueWriteBuffer(live.queue, buffer, CL_TRUE, 0, 4, bytes, IN_LIST))
CASE(clEnqueueReadBufferRect, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueReadBufferRect(handle, buffer, CL_TRUE, zero, zero, one, 0, 0, 0, 0, bytes, NO_WAITS))
CASE(clEnqueueReadBufferRect, buffer, BUFFER, CL_INVALID_MEM_OBJECT,
     clEnqueueReadBufferRect(live.queue, handle, CL_TRUE, zero, zero, one, 0, 0, 0, 0, bytes,
                             NO_WAITS))
CASE(clEnqueueReadBufferRect, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueReadBufferRect(live.queue, buffer, CL_TRUE, zero, zero, one, 0, 0, 0, 0, bytes,
                             IN_LIST))
CASE(clEnqueueWriteBufferRect, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueWriteBufferRect(handle, buffer, CL_TRUE, zero, zero, one, 0, 0, 0, 0, bytes,
                              NO_WAITS))
CASE(clEnqueueWriteBufferRect, buffer, BUFFER, CL_INVALID_MEM_OBJECT,
     clEnqueueWriteBufferRect(live.queue, handle, CL_TRUE, zero, zero, one, 0, 0, 0, 0, bytes,
                              NO_WAITS))
CASE(clEnqueueWriteBufferRect, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueWriteBufferRect(live.queue, buffer, CL_TRUE, zero, zero, one, 0, 0, 0, 0, bytes,
                              IN_LIST))
CASE(clEnqueueCopyBuffer, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueCopyBuffer(handle, buffer, other, 0, 0, 4, NO_WAITS))
CASE(clEnqueueCopyBuffer, src_buffer, BUFFER, CL_INVALID_MEM_OBJECT,
     clEnqueueCopyBuffer(live.queue, handle, other, 0, 0, 4, NO_WAITS))
CASE(clEnqueueCopyBuffer, dst_buffer, BUFFER, CL_INVALID_MEM_OBJECT,
     clEnqueueCopyBuffer(live.queue, other, handle, 0, 0, 4, NO_WAITS))
CASE(clEnqueueCopyBuffer, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueCopyBuffer(live.queue, buffer, other, 0, 0, 4, IN_LIST))
CASE(clEnqueueCopyBufferRect, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueCopyBufferRect(handle, buffer, other, zero, zero, one, 0, 0, 0, 0, NO_WAITS))
CASE(clEnqueueCopyBufferRect, src_buffer, BUFFER, CL_INVALID_MEM_OBJECT,
     clEnqueueCopyBufferRect(live.queue, handle, other, zero, zero, one, 0, 0, 0, 0, NO_WAITS))
CASE(clEnqueueCopyBufferRect, dst_buffer, BUFFER, CL_INVALID_MEM_OBJECT,
     clEnqueueCopyBufferRect(live.queue, other, handle, zero, zero, one, 0, 0, 0, 0, NO_WAITS))
CASE(clEnqueueCopyBufferRect, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueCopyBufferRect(live.queue, buffer, other, zero, zero, one, 0, 0, 0, 0, IN_LIST))
CASE(clEnqueueFillBuffer, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueFillBuffer(handle, buffer, bytes, 1, 0, 4, NO_WAITS))
CASE(clEnqueueFillBuffer, buffer, BUFFER, CL_INVALID_MEM_OBJECT,
     clEnqueueFillBuffer(live.queue, handle, bytes, 1, 0, 4, NO_WAITS))
CASE(clEnqueueFillBuffer, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueFillBuffer(live.queue, buffer, bytes, 1, 0, 4, IN_LIST))
CASE(clEnqueueMapBuffer, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     ERROR_OF(clEnqueueMapBuffer(handle, buffer, CL_TRUE, CL_MAP_READ, 0, 4, NO_WAITS, &err)))
CASE(clEnqueueMapBuffer, buffer, BUFFER, CL_INVALID_MEM_OBJECT,
     ERROR_OF(clEnqueueMapBuffer(live.queue, handle, CL_TRUE, CL_MAP_READ, 0, 4, NO_WAITS, &err)))
CASE(clEnqueueMapBuffer, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     ERROR_OF(clEnqueueMapBuffer(live.queue, buffer, CL_TRUE, CL_MAP_READ, 0, 4, IN_LIST, &err)))

CASE(clCreateImage, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateImage(handle, 0, &format, &plane, NULL, &err)))
CASE(clCreateImage, image_desc, BUFFER, CL_INVALID_IMAGE_DESCRIPTOR,
     ERROR_OF(clCreateImage(live.context, 0, &format, line_over(handle), NULL, &err)))
CASE(clCreateImageWithProperties, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateImageWithProperties(handle, NULL, 0, &format, &plane, NULL, &err)))
CASE(clCreateImageWithProperties, image_desc, BUFFER, CL_INVALID_IMAGE_DESCRIPTOR,
     ERROR_OF(clCreateImageWithProperties(live.context, NULL, 0, &format, line_over(handle), NULL,
                                          &err)))
CASE(clCreateImage2D, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateImage2D(handle, 0, &format, 4, 4, 0, NULL, &err)))
CASE(clCreateImage3D, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateImage3D(handle, 0, &format, 4, 4, 4, 0, 0, NULL, &err)))
CASE(clGetSupportedImageFormats, context, CONTEXT, CL_INVALID_CONTEXT,
     clGetSupportedImageFormats(handle, 0, CL_MEM_OBJECT_IMAGE2D, 0, NULL, &number))
CASE(clEnqueueReadImage, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueReadImage(handle, image, CL_TRUE, zero, one, 0, 0, bytes, NO_WAITS))
CASE(clEnqueueReadImage, image, IMAGE, CL_INVALID_MEM_OBJECT,
     clEnqueueReadImage(live.queue, handle, CL_TRUE, zero, one, 0, 0, bytes, NO_WAITS))
CASE(clEnqueueReadImage, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueReadImage(live.queue, image, CL_TRUE, zero, one, 0, 0, bytes, IN_LIST))
CASE(clEnqueueWriteImage, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueWriteImage(handle, image, CL_TRUE, zero, one, 0, 0, bytes, NO_WAITS))
CASE(clEnqueueWriteImage, image, IMAGE, CL_INVALID_MEM_OBJECT,
     clEnqueueWriteImage(live.queue, handle, CL_TRUE, zero, one, 0, 0, bytes, NO_WAITS))
CASE(clEnqueueWriteImage, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueWriteImage(live.queue, image, CL_TRUE, zero, one, 0, 0, bytes, IN_LIST))
CASE(clEnqueueCopyImage, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueCopyImage(handle, image, other_image, zero, zero, one, NO_WAITS))
CASE(clEnqueueCopyImage, src_image, IMAGE, CL_INVALID_MEM_OBJECT,
     clEnqueueCopyImage(live.queue, handle, other_image, zero, zero, one, NO_WAITS))
CASE(clEnqueueCopyImage, dst_image, IMAGE, CL_INVALID_MEM_OBJECT,
     clEnqueueCopyImage(live.queue, other_image, handle, zero, zero, one, NO_WAITS))
CASE(clEnqueueCopyImage, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueCopyImage(live.queue, image, other_image, zero, zero, one, IN_LIST))
CASE(clEnqueueFillImage, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueFillImage(handle, image, bytes, zero, one, NO_WAITS))
CASE(clEnqueueFillImage, image, IMAGE, CL_INVALID_MEM_OBJECT,
     clEnqueueFillImage(live.queue, handle, bytes, zero, one, NO_WAITS))
CASE(clEnqueueFillImage, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueFillImage(live.queue, image, bytes, zero, one, IN_LIST))
CASE(clEnqueueCopyImageToBuffer, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueCopyImageToBuffer(handle, image, buffer, zero, one, 0, NO_WAITS))
CASE(clEnqueueCopyImageToBuffer, src_image, IMAGE, CL_INVALID_MEM_OBJECT,
     clEnqueueCopyImageToBuffer(live.queue, handle, buffer, zero, one, 0, NO_WAITS))
CASE(clEnqueueCopyImageToBuffer, dst_buffer, BUFFER, CL_INVALID_MEM_OBJECT,
     clEnqueueCopyImageToBuffer(live.queue, image, handle, zero, one, 0, NO_WAITS))
CASE(clEnqueueCopyImageToBuffer, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueCopyImageToBuffer(live.queue, image, buffer, zero, one, 0, IN_LIST))
CASE(clEnqueueCopyBufferToImage, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueCopyBufferToImage(handle, buffer, image, 0, zero, one, NO_WAITS))
CASE(clEnqueueCopyBufferToImage, src_buffer, BUFFER, CL_INVALID_MEM_OBJECT,
     clEnqueueCopyBufferToImage(live.queue, handle, image, 0, zero, one, NO_WAITS))
CASE(clEnqueueCopyBufferToImage, dst_image, IMAGE, CL_INVALID_MEM_OBJECT,
     clEnqueueCopyBufferToImage(live.queue, buffer, handle, 0, zero, one, NO_WAITS))
CASE(clEnqueueCopyBufferToImage, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueCopyBufferToImage(live.queue, buffer, image, 0, zero, one, IN_LIST))
CASE(clEnqueueMapImage, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     ERROR_OF(clEnqueueMapImage(handle, image, CL_TRUE, CL_MAP_READ, zero, one, &size, &size,
                                NO_WAITS, &err)))
CASE(clEnqueueMapImage, image, IMAGE, CL_INVALID_MEM_OBJECT,
     ERROR_OF(clEnqueueMapImage(live.queue, handle, CL_TRUE, CL_MAP_READ, zero, one, &size, &size,
                                NO_WAITS, &err)))
CASE(clEnqueueMapImage, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     ERROR_OF(clEnqueueMapImage(live.queue, image, CL_TRUE, CL_MAP_READ, zero, one, &size, &size,
                                IN_LIST, &err)))
CASE(clGetImageInfo, image, IMAGE, CL_INVALID_MEM_OBJECT,
     clGetImageInfo(handle, CL_IMAGE_WIDTH, INFO))

CASE(clCreatePipe, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreatePipe(handle, 0, 4, 4, NULL, &err)))
/* A pipe stands in the way of a suspend: there is none here. */
CASE(clGetPipeInfo, pipe, NONE, CL_INVALID_MEM_OBJECT,
     clGetPipeInfo(handle, CL_PIPE_PACKET_SIZE, INFO))
CASE(clRetainMemObject, memobj, MEM, CL_INVALID_MEM_OBJECT, clRetainMemObject(handle))
CASE(clReleaseMemObject, memobj, MEM, CL_INVALID_MEM_OBJECT, clReleaseMemObject(handle))
CASE(clSetMemObjectDestructorCallback, memobj, MEM, CL_INVALID_MEM_OBJECT,
     clSetMemObjectDestructorCallback(handle, told_mem, NULL))
CASE(clEnqueueUnmapMemObject, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueUnmapMemObject(handle, buffer, bytes, NO_WAITS))
CASE(clEnqueueUnmapMemObject, memobj, MEM, CL_INVALID_MEM_OBJECT,
     clEnqueueUnmapMemObject(live.queue, handle, bytes, NO_WAITS))
CASE(clEnqueueUnmapMemObject, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueUnmapMemObject(live.queue, buffer, bytes, IN_LIST))
CASE(clEnqueueMigrateMemObjects, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueMigrateMemObjects(handle, 1, &buffer, 0, NO_WAITS))
CASE(clEnqueueMigrateMemObjects, mem_objects, MEM, CL_INVALID_MEM_OBJECT,
     clEnqueueMigrateMemObjects(live.queue, 1, (cl_mem *)&handle, 0, NO_WAITS))
CASE(clEnqueueMigrateMemObjects, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueMigrateMemObjects(live.queue, 1, &buffer, 0, IN_LIST))
CASE(clGetMemObjectInfo, memobj, MEM, CL_INVALID_MEM_OBJECT,
     clGetMemObjectInfo(handle, CL_MEM_SIZE, INFO))

/* The two that say no error: nothing is allocated, and nothing freed (twice, in the end). */
CASE(clSVMAlloc, context, CONTEXT, CL_INVALID_CONTEXT,
     shared ? clSVMAlloc(handle, 0, 16, 0) ? CL_SUCCESS : CL_INVALID_CONTEXT : ABSENT)
CASE(clSVMFree, context, CONTEXT, CL_SUCCESS, (clSVMFree(handle, shared), CL_SUCCESS))
CASE(clEnqueueSVMFree, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueSVMFree(handle, 1, &shared, freed_nothing, NULL, NO_WAITS))
CASE(clEnqueueSVMFree, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueSVMFree(live.queue, 1, &shared, freed_nothing, NULL, IN_LIST))
CASE(clEnqueueSVMMemcpy, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueSVMMemcpy(handle, CL_TRUE, shared, bytes, 4, NO_WAITS))
CASE(clEnqueueSVMMemcpy, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueSVMMemcpy(live.queue, CL_TRUE, shared, bytes, 4, IN_LIST))
CASE(clEnqueueSVMMemFill, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueSVMMemFill(handle, shared, bytes, 1, 4, NO_WAITS))
CASE(clEnqueueSVMMemFill, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueSVMMemFill(live.queue, shared, bytes, 1, 4, IN_LIST))
CASE(clEnqueueSVMMap, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueSVMMap(handle, CL_TRUE, CL_MAP_READ, shared, 4, NO_WAITS))
CASE(clEnqueueSVMMap, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueSVMMap(live.queue, CL_TRUE, CL_MAP_READ, shared, 4, IN_LIST))
CASE(clEnqueueSVMUnmap, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueSVMUnmap(handle, shared, NO_WAITS))
CASE(clEnqueueSVMUnmap, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueSVMUnmap(live.queue, shared, IN_LIST))
CASE(clEnqueueSVMMigrateMem, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueSVMMigrateMem(handle, 1, (const void **)&shared, NULL, 0, NO_WAITS))
CASE(clEnqueueSVMMigrateMem, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueSVMMigrateMem(live.queue, 1, (const void **)&shared, NULL, 0, IN_LIST))

CASE(clCreateSamplerWithProperties, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateSamplerWithProperties(handle, NULL, &err)))
CASE(clCreateSampler, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateSampler(handle, CL_FALSE, CL_ADDRESS_NONE, CL_FILTER_NEAREST, &err)))
CASE(clRetainSampler, sampler, SAMPLER, CL_INVALID_SAMPLER, clRetainSampler(handle))
CASE(clReleaseSampler, sampler, SAMPLER, CL_INVALID_SAMPLER, clReleaseSampler(handle))
CASE(clGetSamplerInfo, sampler, SAMPLER, CL_INVALID_SAMPLER,
     clGetSamplerInfo(handle, CL_SAMPLER_CONTEXT, INFO))

CASE(clCreateProgramWithSource, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateProgramWithSource(handle, 1, (const char **)&source, NULL, &err)))
CASE(clCreateProgramWithIL, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateProgramWithIL(handle, source, strlen(source), &err)))
CASE(clCreateProgramWithBinary, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateProgramWithBinary(handle, 1, &live.device, &binary_size,
                                        (const unsigned char **)&binary, NULL, &err)))
CASE(clCreateProgramWithBinary, device_list, DEVICE, CL_INVALID_DEVICE,
     ERROR_OF(clCreateProgramWithBinary(live.context, 1, (cl_device_id *)&handle, &binary_size,
                                        (const unsigned char **)&binary, NULL, &err)))
CASE(clCreateProgramWithBuiltInKernels, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateProgramWithBuiltInKernels(handle, 1, &live.device, "none", &err)))
CASE(clCreateProgramWithBuiltInKernels, device_list, DEVICE, CL_INVALID_DEVICE,
     ERROR_OF(clCreateProgramWithBuiltInKernels(live.context, 1, (cl_device_id *)&handle, "none",
                                                &err)))
CASE(clRetainProgram, program, PROGRAM, CL_INVALID_PROGRAM, clRetainProgram(handle))
CASE(clReleaseProgram, program, PROGRAM, CL_INVALID_PROGRAM, clReleaseProgram(handle))
CASE(clSetProgramReleaseCallback, program, PROGRAM, CL_INVALID_PROGRAM,
     clSetProgramReleaseCallback(handle, told_program, NULL))
/* Of source they have none. */
CASE(clSetProgramSpecializationConstant, program, PROGRAM | UNTRIED, CL_INVALID_PROGRAM,
     clSetProgramSpecializationConstant(handle, 0, 4, bytes))
CASE(clBuildProgram, program, PROGRAM, CL_INVALID_PROGRAM,
     clBuildProgram(handle, 0, NULL, NULL, NULL, NULL))
CASE(clBuildProgram, device_list, DEVICE, CL_INVALID_DEVICE,
     clBuildProgram(unbuilt, 1, (cl_device_id *)&handle, NULL, NULL, NULL))
CASE(clCompileProgram, program, PROGRAM, CL_INVALID_PROGRAM,
     clCompileProgram(handle, 0, NULL, NULL, 0, NULL, NULL, NULL, NULL))
CASE(clCompileProgram, device_list, DEVICE, CL_INVALID_DEVICE,
     clCompileProgram(unbuilt, 1, (cl_device_id *)&handle, NULL, 0, NULL, NULL, NULL, NULL))
CASE(clCompileProgram, input_headers, PROGRAM, CL_INVALID_PROGRAM,
     clCompileProgram(unbuilt, 0, NULL, NULL, 1, (cl_program *)&handle, header_names, NULL, NULL))
CASE(clLinkProgram, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clLinkProgram(handle, 0, NULL, NULL, 1, &compiled, NULL, NULL, &err)))
CASE(clLinkProgram, device_list, DEVICE, CL_INVALID_DEVICE,
     ERROR_OF(clLinkProgram(live.context, 1, (cl_device_id *)&handle, NULL, 1, &compiled, NULL,
                            NULL, &err)))
CASE(clLinkProgram, input_programs, PROGRAM, CL_INVALID_PROGRAM,
     ERROR_OF(clLinkProgram(live.context, 0, NULL, NULL, 1, (cl_program *)&handle, NULL, NULL,
                            &err)))
CASE(clUnloadPlatformCompiler, platform, PLATFORM, CL_INVALID_PLATFORM,
     clUnloadPlatformCompiler(handle))
CASE(clGetProgramInfo, program, PROGRAM, CL_INVALID_PROGRAM,
     clGetProgramInfo(handle, CL_PROGRAM_CONTEXT, INFO))
CASE(clGetProgramBuildInfo, program, PROGRAM, CL_INVALID_PROGRAM,
     clGetProgramBuildInfo(handle, live.device, CL_PROGRAM_BUILD_STATUS, INFO))
CASE(clGetProgramBuildInfo, device, DEVICE, CL_INVALID_DEVICE,
     clGetProgramBuildInfo(program, handle, CL_PROGRAM_BUILD_STATUS, INFO))

CASE(clCreateKernel, program, PROGRAM, CL_INVALID_PROGRAM,
     ERROR_OF(clCreateKernel(handle, "put", &err)))
CASE(clCreateKernelsInProgram, program, PROGRAM, CL_INVALID_PROGRAM,
     clCreateKernelsInProgram(handle, 0, NULL, &number))
CASE(clRetainKernel, kernel, KERNEL, CL_INVALID_KERNEL, clRetainKernel(handle))
CASE(clReleaseKernel, kernel, KERNEL, CL_INVALID_KERNEL, clReleaseKernel(handle))
CASE(clSetKernelArg, kernel, KERNEL, CL_INVALID_KERNEL,
     clSetKernelArg(handle, 0, sizeof buffer, &buffer))
CASE(clSetKernelArg, arg_value, MEM | NOTHING, CL_INVALID_MEM_OBJECT,
     clSetKernelArg(kernel, 0, sizeof handle, &handle))
CASE(clSetKernelArg, arg_value_of_sampler, SAMPLER, CL_INVALID_SAMPLER,
     reader ? clSetKernelArg(reader, 1, sizeof handle, &handle) : ABSENT)
CASE(clSetKernelArgSVMPointer, kernel, KERNEL, CL_INVALID_KERNEL,
     clSetKernelArgSVMPointer(handle, 0, shared))
CASE(clSetKernelExecInfo, kernel, KERNEL, CL_INVALID_KERNEL,
     clSetKernelExecInfo(handle, CL_KERNEL_EXEC_INFO_SVM_PTRS, sizeof shared, &shared))
CASE(clCloneKernel, source_kernel, KERNEL, CL_INVALID_KERNEL, ERROR_OF(clCloneKernel(handle, &err)))
CASE(clGetKernelInfo, kernel, KERNEL, CL_INVALID_KERNEL,
     clGetKernelInfo(handle, CL_KERNEL_CONTEXT, INFO))
CASE(clGetKernelWorkGroupInfo, kernel, KERNEL, CL_INVALID_KERNEL,
     clGetKernelWorkGroupInfo(handle, live.device, CL_KERNEL_WORK_GROUP_SIZE, INFO))
CASE(clGetKernelWorkGroupInfo, device, DEVICE | NOTHING, CL_INVALID_DEVICE,
     clGetKernelWorkGroupInfo(kernel, handle, CL_KERNEL_WORK_GROUP_SIZE, INFO))
CASE(clGetKernelSubGroupInfo, kernel, KERNEL, CL_INVALID_KERNEL,
     clGetKernelSubGroupInfo(handle, live.device, CL_KERNEL_MAX_SUB_GROUP_SIZE_FOR_NDRANGE,
                             sizeof *one, one, INFO))
CASE(clGetKernelSubGroupInfo, device, DEVICE | NOTHING, CL_INVALID_DEVICE,
     clGetKernelSubGroupInfo(kernel, handle, CL_KERNEL_MAX_SUB_GROUP_SIZE_FOR_NDRANGE, sizeof *one,
                             one, INFO))
CASE(clGetKernelArgInfo, kernel, KERNEL, CL_INVALID_KERNEL,
     clGetKernelArgInfo(handle, 0, CL_KERNEL_ARG_NAME, INFO))

CASE(clEnqueueNDRangeKernel, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueNDRangeKernel(handle, kernel, 1, NULL, one, NULL, NO_WAITS))
CASE(clEnqueueNDRangeKernel, kernel, KERNEL, CL_INVALID_KERNEL,
     clEnqueueNDRangeKernel(live.queue, handle, 1, NULL, one, NULL, NO_WAITS))
CASE(clEnqueueNDRangeKernel, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueNDRangeKernel(live.queue, kernel, 1, NULL, one, NULL, IN_LIST))
CASE(clEnqueueTask, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueTask(handle, kernel, NO_WAITS))
CASE(clEnqueueTask, kernel, KERNEL, CL_INVALID_KERNEL, clEnqueueTask(live.queue, handle, NO_WAITS))
CASE(clEnqueueTask, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueTask(live.queue, kernel, IN_LIST))
CASE(clEnqueueNativeKernel, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueNativeKernel(handle, run_nothing, bytes, 8, 0, NULL, NULL, NO_WAITS))
CASE(clEnqueueNativeKernel, mem_list, BUFFER | NOTHING, CL_INVALID_MEM_OBJECT,
     clEnqueueNativeKernel(live.queue, run_nothing, bytes, 8, 1, (cl_mem *)&handle, &in_bytes,
                           NO_WAITS))
CASE(clEnqueueNativeKernel, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueNativeKernel(live.queue, run_nothing, bytes, 8, 0, NULL, NULL, IN_LIST))

CASE(clCreateUserEvent, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateUserEvent(handle, &err)))
CASE(clSetUserEventStatus, event, USER_EVENT, CL_INVALID_EVENT,
     clSetUserEventStatus(handle, CL_COMPLETE))
CASE(clWaitForEvents, event_list, ANY_EVENT, CL_INVALID_EVENT,
     clWaitForEvents(1, (cl_event *)&handle))
CASE(clGetEventInfo, event, ANY_EVENT, CL_INVALID_EVENT,
     clGetEventInfo(handle, CL_EVENT_CONTEXT, INFO))
CASE(clSetEventCallback, event, ANY_EVENT, CL_INVALID_EVENT,
     clSetEventCallback(handle, CL_COMPLETE, told_event, NULL))
CASE(clRetainEvent, event, ANY_EVENT, CL_INVALID_EVENT, clRetainEvent(handle))
CASE(clReleaseEvent, event, ANY_EVENT, CL_INVALID_EVENT, clReleaseEvent(handle))
CASE(clEnqueueMarkerWithWaitList, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueMarkerWithWaitList(handle, NO_WAITS))
CASE(clEnqueueMarkerWithWaitList, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueMarkerWithWaitList(live.queue, IN_LIST))
CASE(clEnqueueMarker, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueMarker(handle, &mark))
CASE(clEnqueueWaitForEvents, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueWaitForEvents(handle, 1, &event))
CASE(clEnqueueWaitForEvents, event_list, ANY_EVENT, CL_INVALID_EVENT,
     clEnqueueWaitForEvents(live.queue, 1, (cl_event *)&handle))
CASE(clEnqueueBarrierWithWaitList, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueBarrierWithWaitList(handle, NO_WAITS))
CASE(clEnqueueBarrierWithWaitList, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueBarrierWithWaitList(live.queue, IN_LIST))
CASE(clEnqueueBarrier, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE, clEnqueueBarrier(handle))
CASE(clGetEventProfilingInfo, event, ANY_EVENT, CL_INVALID_EVENT,
     clGetEventProfilingInfo(handle, CL_PROFILING_COMMAND_END, INFO))
CASE(clFlush, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE, clFlush(handle))
CASE(clFinish, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE, clFinish(handle))

/* It says no error either. */
CASE(clGetExtensionFunctionAddressForPlatform, platform, PLATFORM, CL_INVALID_PLATFORM,
     clGetExtensionFunctionAddressForPlatform(handle, "clGetPlatformInfo") ? CL_SUCCESS
                                                                           : CL_INVALID_PLATFORM)
CASE(clGetKernelSubGroupInfoKHR, in_kernel, KERNEL, CL_INVALID_KERNEL,
     clGetKernelSubGroupInfoKHR(handle, live.device, CL_KERNEL_MAX_SUB_GROUP_SIZE_FOR_NDRANGE,
                                sizeof *one, one, INFO))
CASE(clGetKernelSubGroupInfoKHR, in_device, DEVICE | NOTHING, CL_INVALID_DEVICE,
     clGetKernelSubGroupInfoKHR(kernel, handle, CL_KERNEL_MAX_SUB_GROUP_SIZE_FOR_NDRANGE,
                                sizeof *one, one, INFO))
CASE(clCreateSubDevicesEXT, in_device, DEVICE, CL_INVALID_DEVICE,
     clCreateSubDevicesEXT(handle, equally_ext, 0, NULL, &number))
CASE(clRetainDeviceEXT, device, DEVICE, CL_INVALID_DEVICE, clRetainDeviceEXT(handle))
CASE(clReleaseDeviceEXT, device, DEVICE, CL_INVALID_DEVICE, clReleaseDeviceEXT(handle))

CASE(clCreateFromGLBuffer, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateFromGLBuffer(handle, 0, 1, &err)))
CASE(clCreateFromGLTexture, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateFromGLTexture(handle, 0, 0, 0, 1, &err)))
CASE(clCreateFromGLTexture2D, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateFromGLTexture2D(handle, 0, 0, 0, 1, &err)))
CASE(clCreateFromGLTexture3D, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateFromGLTexture3D(handle, 0, 0, 0, 1, &err)))
CASE(clCreateFromGLRenderbuffer, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateFromGLRenderbuffer(handle, 0, 1, &err)))
CASE(clGetGLObjectInfo, memobj, MEM, CL_INVALID_MEM_OBJECT, clGetGLObjectInfo(handle, NULL, NULL))
CASE(clGetGLTextureInfo, memobj, MEM, CL_INVALID_MEM_OBJECT,
     clGetGLTextureInfo(handle, CL_GL_MIPMAP_LEVEL, INFO))
CASE(clEnqueueAcquireGLObjects, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueAcquireGLObjects(handle, 1, &buffer, NO_WAITS))
CASE(clEnqueueAcquireGLObjects, mem_objects, MEM, CL_INVALID_MEM_OBJECT,
     clEnqueueAcquireGLObjects(live.queue, 1, (cl_mem *)&handle, NO_WAITS))
CASE(clEnqueueAcquireGLObjects, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueAcquireGLObjects(live.queue, 1, &buffer, IN_LIST))
CASE(clEnqueueReleaseGLObjects, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueReleaseGLObjects(handle, 1, &buffer, NO_WAITS))
CASE(clEnqueueReleaseGLObjects, mem_objects, MEM, CL_INVALID_MEM_OBJECT,
     clEnqueueReleaseGLObjects(live.queue, 1, (cl_mem *)&handle, NO_WAITS))
CASE(clEnqueueReleaseGLObjects, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueReleaseGLObjects(live.queue, 1, &buffer, IN_LIST))
CASE(clCreateEventFromGLsyncKHR, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateEventFromGLsyncKHR(handle, NULL, &err)))
CASE(clCreateFromEGLImageKHR, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateFromEGLImageKHR(handle, NULL, NULL, 0, NULL, &err)))
CASE(clEnqueueAcquireEGLObjectsKHR, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueAcquireEGLObjectsKHR(handle, 1, &buffer, NO_WAITS))
CASE(clEnqueueAcquireEGLObjectsKHR, mem_objects, MEM, CL_INVALID_MEM_OBJECT,
     clEnqueueAcquireEGLObjectsKHR(live.queue, 1, (cl_mem *)&handle, NO_WAITS))
CASE(clEnqueueAcquireEGLObjectsKHR, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueAcquireEGLObjectsKHR(live.queue, 1, &buffer, IN_LIST))
CASE(clEnqueueReleaseEGLObjectsKHR, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
     clEnqueueReleaseEGLObjectsKHR(handle, 1, &buffer, NO_WAITS))
CASE(clEnqueueReleaseEGLObjectsKHR, mem_objects, MEM, CL_INVALID_MEM_OBJECT,
     clEnqueueReleaseEGLObjectsKHR(live.queue, 1, (cl_mem *)&handle, NO_WAITS))
CASE(clEnqueueReleaseEGLObjectsKHR, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
     clEnqueueReleaseEGLObjectsKHR(live.queue, 1, &buffer, IN_LIST))
CASE(clCreateEventFromEGLSyncKHR, context, CONTEXT, CL_INVALID_CONTEXT,
     ERROR_OF(clCreateEventFromEGLSyncKHR(handle, NULL, NULL, &err)))

EXTENSION(clCreateProgramWithILKHR, context, CONTEXT, CL_INVALID_CONTEXT,
          ERROR_OF(function(handle, source, strlen(source), &err)))
EXTENSION(clCreateCommandQueueWithPropertiesKHR, context, CONTEXT, CL_INVALID_CONTEXT,
          ERROR_OF(function(handle, live.device, NULL, &err)))
EXTENSION(clCreateCommandQueueWithPropertiesKHR, device, DEVICE, CL_INVALID_DEVICE,
          ERROR_OF(function(live.context, handle, NULL, &err)))
EXTENSION(clGetKernelSuggestedLocalWorkSizeKHR, command_queue, QUEUE, CL_INVALID_COMMAND_QUEUE,
          function(handle, kernel, 1, NULL, one, &size))
EXTENSION(clGetKernelSuggestedLocalWorkSizeKHR, kernel, KERNEL, CL_INVALID_KERNEL,
          function(live.queue, handle, 1, NULL, one, &size))

EXTENSION(clCreateCommandBufferKHR, queues, QUEUE, CL_INVALID_COMMAND_QUEUE,
          ERROR_OF(function(1, (cl_command_queue *)&handle, NULL, &err)))
EXTENSION(clRetainCommandBufferKHR, command_buffer, COMMAND_BUFFER, CL_INVALID_COMMAND_BUFFER_KHR,
          function(handle))
EXTENSION(clReleaseCommandBufferKHR, command_buffer, COMMAND_BUFFER, CL_INVALID_COMMAND_BUFFER_KHR,
          function(handle))
EXTENSION(clEnqueueCommandBufferKHR, queues, QUEUE, CL_INVALID_COMMAND_QUEUE,
          function(1, (cl_command_queue *)&handle, finalized, NO_WAITS))
EXTENSION(clEnqueueCommandBufferKHR, command_buffer, COMMAND_BUFFER, CL_INVALID_COMMAND_BUFFER_KHR,
          function(0, NULL, handle, NO_WAITS))
EXTENSION(clEnqueueCommandBufferKHR, event_wait_list, ANY_EVENT, CL_INVALID_EVENT_WAIT_LIST,
          function(0, NULL, finalized, IN_LIST))
/* No command has a queue of its own. */
EXTENSION(clCommandBarrierWithWaitListKHR, command_buffer, COMMAND_BUFFER,
          CL_INVALID_COMMAND_BUFFER_KHR, function(handle, NULL, NO_WAITS, NULL))
EXTENSION(clCommandBarrierWithWaitListKHR, command_queue, NOTHING, CL_INVALID_COMMAND_QUEUE,
          function(recording, handle, NO_WAITS, NULL))
EXTENSION(clCommandCopyBufferKHR, command_buffer, COMMAND_BUFFER, CL_INVALID_COMMAND_BUFFER_KHR,
          function(handle, NULL, buffer, other, 0, 0, 4, NO_WAITS, NULL))
EXTENSION(clCommandCopyBufferKHR, command_queue, NOTHING, CL_INVALID_COMMAND_QUEUE,
          function(recording, handle, buffer, other, 0, 0, 4, NO_WAITS, NULL))
EXTENSION(clCommandCopyBufferKHR, src_buffer, BUFFER, CL_INVALID_MEM_OBJECT,
          function(recording, NULL, handle, other, 0, 0, 4, NO_WAITS, NULL))
EXTENSION(clCommandCopyBufferKHR, dst_buffer, BUFFER, CL_INVALID_MEM_OBJECT,
          function(recording, NULL, other, handle, 0, 0, 4, NO_WAITS, NULL))
EXTENSION(clCommandCopyBufferRectKHR, command_buffer, COMMAND_BUFFER, CL_INVALID_COMMAND_BUFFER_KHR,
          function(handle, NULL, buffer, other, zero, zero, one, 0, 0, 0, 0, NO_WAITS, NULL))
EXTENSION(clCommandCopyBufferRectKHR, command_queue, NOTHING, CL_INVALID_COMMAND_QUEUE,
          function(recording, handle, buffer, other, zero, zero, one, 0, 0, 0, 0, NO_WAITS, NULL))
EXTENSION(clCommandCopyBufferRectKHR, src_buffer, BUFFER, CL_INVALID_MEM_OBJECT,
          function(recording, NULL, handle, other, zero, zero, one, 0, 0, 0, 0, NO_WAITS, NULL))
EXTENSION(clCommandCopyBufferRectKHR, dst_buffer, BUFFER, CL_INVALID_MEM_OBJECT,
          function(recording, NULL, other, handle, zero, zero, one, 0, 0, 0, 0, NO_WAITS, NULL))
EXTENSION(clCommandCopyBufferToImageKHR, command_buffer, COMMAND_BUFFER,
          CL_INVALID_COMMAND_BUFFER_KHR,
          function(handle, NULL, buffer, image, 0, zero, one, NO_WAITS, NULL))
EXTENSION(clCommandCopyBufferToImageKHR, command_queue, NOTHING, CL_INVALID_COMMAND_QUEUE,
          function(recording, handle, buffer, image, 0, zero, one, NO_WAITS, NULL))
EXTENSION(clCommandCopyBufferToImageKHR, src_buffer, BUFFER, CL_INVALID_MEM_OBJECT,
          function(recording, NULL, handle, image, 0, zero, one, NO_WAITS, NULL))
EXTENSION(clCommandCopyBufferToImageKHR, dst_image, IMAGE, CL_INVALID_MEM_OBJECT,
          function(recording, NULL, buffer, handle, 0, zero, one, NO_WAITS, NULL))
EXTENSION(clCommandCopyImageKHR, command_buffer, COMMAND_BUFFER, CL_INVALID_COMMAND_BUFFER_KHR,
          function(handle, NULL, image, other_image, zero, zero, one, NO_WAITS, NULL))
EXTENSION(clCommandCopyImageKHR, command_queue, NOTHING, CL_INVALID_COMMAND_QUEUE,
          function(recording, handle, image, other_image, zero, zero, one, NO_WAITS, NULL))
EXTENSION(clCommandCopyImageKHR, src_image, IMAGE, CL_INVALID_MEM_OBJECT,
          function(recording, NULL, handle, other_image, zero, zero, one, NO_WAITS, NULL))
EXTENSION(clCommandCopyImageKHR, dst_image, IMAGE, CL_INVALID_MEM_OBJECT,
          function(recording, NULL, other_image, handle, zero, zero, one, NO_WAITS, NULL))
EXTENSION(clCommandCopyImageToBufferKHR, command_buffer, COMMAND_BUFFER,
          CL_INVALID_COMMAND_BUFFER_KHR,
          function(handle, NULL, image, buffer, zero, one, 0, NO_WAITS, NULL))
EXTENSION(clCommandCopyImageToBufferKHR, command_queue, NOTHING, CL_INVALID_COMMAND_QUEUE,
          function(recording, handle, image, buffer, zero, one, 0, NO_WAITS, NULL))
EXTENSION(clCommandCopyImageToBufferKHR, src_image, IMAGE, CL_INVALID_MEM_OBJECT,
          function(recording, NULL, handle, buffer, zero, one, 0, NO_WAITS, NULL))
EXTENSION(clCommandCopyImageToBufferKHR, dst_buffer, BUFFER, CL_INVALID_MEM_OBJECT,
          function(recording, NULL, image, handle, zero, one, 0, NO_WAITS, NULL))
EXTENSION(clCommandFillBufferKHR, command_buffer, COMMAND_BUFFER, CL_INVALID_COMMAND_BUFFER_KHR,
          function(handle, NULL, buffer, bytes, 1, 0, 4, NO_WAITS, NULL))
EXTENSION(clCommandFillBufferKHR, command_queue, NOTHING, CL_INVALID_COMMAND_QUEUE,
          function(recording, handle, buffer, bytes, 1, 0, 4, NO_WAITS, NULL))
EXTENSION(clCommandFillBufferKHR, buffer, BUFFER, CL_INVALID_MEM_OBJECT,
          function(recording, NULL, handle, bytes, 1, 0, 4, NO_WAITS, NULL))
EXTENSION(clCommandFillImageKHR, command_buffer, COMMAND_BUFFER, CL_INVALID_COMMAND_BUFFER_KHR,
          function(handle, NULL, image, bytes, zero, one, NO_WAITS, NULL))
EXTENSION(clCommandFillImageKHR, command_queue, NOTHING, CL_INVALID_COMMAND_QUEUE,
          function(recording, handle, image, bytes, zero, one, NO_WAITS, NULL))
EXTENSION(clCommandFillImageKHR, image, IMAGE, CL_INVALID_MEM_OBJECT,
          function(recording, NULL, handle, bytes, zero, one, NO_WAITS, NULL))
EXTENSION(clCommandNDRangeKernelKHR, command_buffer, COMMAND_BUFFER, CL_INVALID_COMMAND_BUFFER_KHR,
          function(handle, NULL, NULL, kernel, 1, NULL, one, NULL, NO_WAITS, NULL))
EXTENSION(clCommandNDRangeKernelKHR, command_queue, NOTHING, CL_INVALID_COMMAND_QUEUE,
          function(recording, handle, NULL, kernel, 1, NULL, one, NULL, NO_WAITS, NULL))
EXTENSION(clCommandNDRangeKernelKHR, kernel, KERNEL, CL_INVALID_KERNEL,
          function(recording, NULL, NULL, handle, 1, NULL, one, NULL, NO_WAITS, NULL))
EXTENSION(clGetCommandBufferInfoKHR, command_buffer, COMMAND_BUFFER, CL_INVALID_COMMAND_BUFFER_KHR,
          function(handle, CL_COMMAND_BUFFER_NUM_QUEUES_KHR, INFO))
EXTENSION(clFinalizeCommandBufferKHR, command_buffer, COMMAND_BUFFER, CL_INVALID_COMMAND_BUFFER_KHR,
          function(handle))

#undef IN_LIST
#undef NO_WAITS
#undef INFO
#undef ERROR_OF
