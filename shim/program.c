/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.8.1 Creating program objects, and what is said of them before a build step. The
 * steps are in program_build.c, the queries in program_info.c. */
#include "state/program.h"

#include <CL/cl_ext.h>
#include <stdlib.h>
#include <string.h>

#include "shim/callback.h"
#include "shim/cancel.h"
#include "shim/export.h"
#include "shim/gate.h"
#include "shim/program.h"

/* What the driver made becomes the program's real one; or all is given back. */
static cl_program finish(struct program *program, cl_program real, cl_int *status)
{
    if (!real || *status != CL_SUCCESS) {
        program_discard(program);
        return NULL;
    }
    program->object.real = real;
    program_built(program, atomic_load(&program->build));
    object_publish(program);
    return (cl_program)program;
}

static cl_int check_strings(cl_uint count, const char **strings)
{
    if (!count || !strings)
        return CL_INVALID_VALUE;
    for (cl_uint i = 0; i < count; i++)
        if (!strings[i])
            return CL_INVALID_VALUE;
    return CL_SUCCESS;
}

static cl_program create_with_source(struct context *context, cl_uint count, const char **strings,
                                     const size_t *lengths, cl_int *status)
{
    NOT_CANCELLED();
    GATE(clCreateProgramWithSource);
    struct program *program =
        program_create(context, origin_from_strings(count, strings, lengths), 0, NULL);
    *status = CL_OUT_OF_HOST_MEMORY;
    if (!program)
        return NULL;
    cl_program real = context->object.driver->clCreateProgramWithSource(
        context_real(context), count, strings, lengths, status);
    return finish(program, real, status);
}

EXPORT cl_program CL_API_CALL clCreateProgramWithSource(cl_context context, cl_uint count,
                                                        const char **strings, const size_t *lengths,
                                                        cl_int *errcode_ret)
{
    struct context *owner = context_check(context);
    cl_int status = owner ? check_strings(count, strings) : CL_INVALID_CONTEXT;
    cl_program program = NULL;
    if (status == CL_SUCCESS)
        program = create_with_source(owner, count, strings, lengths, &status);
    if (errcode_ret)
        *errcode_ret = status;
    return program;
}

typedef cl_program(CL_API_CALL *create_with_il)(cl_context, const void *, size_t, cl_int *);

static cl_program create_il(struct context *context, create_with_il create, const void *il,
                            size_t length, cl_int *status)
{
    if (!create) {
        *status = CL_INVALID_OPERATION;
        return NULL;
    }
    struct program *program =
        program_create(context, origin_create(ORIGIN_IL, il, length), 0, NULL);
    *status = CL_OUT_OF_HOST_MEMORY;
    if (!program)
        return NULL;
    cl_program real = create(context_real(context), il, length, status);
    return finish(program, real, status);
}

EXPORT cl_program CL_API_CALL clCreateProgramWithIL(cl_context context, const void *il,
                                                    size_t length, cl_int *errcode_ret)
{
    struct context *owner = context_check(context);
    cl_int status = owner ? CL_SUCCESS : CL_INVALID_CONTEXT;
    cl_program program = NULL;
    if (owner && (!il || !length))
        status = CL_INVALID_VALUE;
    if (status == CL_SUCCESS) {
        NOT_CANCELLED();
        GATE(clCreateProgramWithIL);
        program =
            create_il(owner, owner->object.driver->clCreateProgramWithIL, il, length, &status);
    }
    if (errcode_ret)
        *errcode_ret = status;
    return program;
}

/* cl_khr_il_program: reached through clGetExtensionFunctionAddressForPlatform. */
cl_program CL_API_CALL clCreateProgramWithILKHR(cl_context context, const void *il, size_t length,
                                                cl_int *errcode_ret)
{
    struct context *owner = context_check(context);
    cl_int status = owner ? CL_SUCCESS : CL_INVALID_CONTEXT;
    cl_program program = NULL;
    if (owner && (!il || !length))
        status = CL_INVALID_VALUE;
    if (status == CL_SUCCESS) {
        NOT_CANCELLED();
        GATE(clCreateProgramWithILKHR);
        create_with_il create =
            (create_with_il)driver_extension(owner->object.driver, "clCreateProgramWithILKHR");
        program = create_il(owner, create, il, length, &status);
    }
    if (errcode_ret)
        *errcode_ret = status;
    return program;
}

cl_int devices_check(const struct context *context, cl_uint count, const cl_device_id *devices)
{
    for (cl_uint i = 0; i < count; i++) {
        struct device *device = device_check(devices[i]);
        if (!device || !context_has_device(context, device))
            return CL_INVALID_DEVICE;
    }
    return CL_SUCCESS;
}

cl_device_id *devices_real(cl_uint count, const cl_device_id *devices)
{
    cl_device_id *reals = calloc(count ? count : 1, sizeof *reals);
    for (cl_uint i = 0; i < count && reals; i++)
        reals[i] = device_real((struct device *)devices[i]);
    return reals;
}

static cl_int check_binaries(const struct context *context, cl_uint num_devices,
                             const cl_device_id *devices, const size_t *lengths,
                             const unsigned char **binaries, cl_int *binary_status)
{
    if (!num_devices || !devices || !lengths || !binaries)
        return CL_INVALID_VALUE;
    cl_int status = devices_check(context, num_devices, devices);
    for (cl_uint i = 0; i < num_devices && status == CL_SUCCESS; i++) {
        bool ok = lengths[i] && binaries[i];
        if (binary_status)
            binary_status[i] = ok ? CL_SUCCESS : CL_INVALID_VALUE;
        if (!ok)
            status = CL_INVALID_VALUE;
    }
    return status;
}

/* The application was given these binaries on another device, before it moved. */
static cl_program make_known(struct program *program, cl_uint num_devices, cl_int *binary_status,
                             cl_int *status)
{
    *status = program_make_known(program);
    for (cl_uint i = 0; i < num_devices && binary_status && *status == CL_SUCCESS; i++)
        binary_status[i] = CL_SUCCESS;
    return program_real(program);
}

static cl_program create_with_binary(struct context *context, cl_uint num_devices,
                                     const cl_device_id *devices, const size_t *lengths,
                                     const unsigned char **binaries, cl_int *binary_status,
                                     cl_int *status)
{
    NOT_CANCELLED();
    GATE(clCreateProgramWithBinary);
    struct program *program =
        program_create(context, origin_from_binaries(num_devices, lengths, binaries), num_devices,
                       (struct device *const *)devices);
    cl_device_id *reals = devices_real(num_devices, devices);
    cl_program real = NULL;
    *status = CL_OUT_OF_HOST_MEMORY;
    if (program && reals)
        real = context->object.driver->clCreateProgramWithBinary(
            context_real(context), num_devices, reals, lengths, binaries, binary_status, status);
    if (program && *status == CL_INVALID_BINARY)
        real = make_known(program, num_devices, binary_status, status);
    free(reals);
    return program ? finish(program, real, status) : NULL;
}

EXPORT cl_program CL_API_CALL clCreateProgramWithBinary(cl_context context, cl_uint num_devices,
                                                        const cl_device_id *device_list,
                                                        const size_t *lengths,
                                                        const unsigned char **binaries,
                                                        cl_int *binary_status, cl_int *errcode_ret)
{
    struct context *owner = context_check(context);
    cl_program program = NULL;
    cl_int status = CL_INVALID_CONTEXT;
    if (owner)
        status = check_binaries(owner, num_devices, device_list, lengths, binaries, binary_status);
    if (status == CL_SUCCESS)
        program = create_with_binary(owner, num_devices, device_list, lengths, binaries,
                                     binary_status, &status);
    if (errcode_ret)
        *errcode_ret = status;
    return program;
}

static cl_program create_built_in(struct context *context, cl_uint num_devices,
                                  const cl_device_id *devices, const char *names, cl_int *status)
{
    NOT_CANCELLED();
    GATE(clCreateProgramWithBuiltInKernels);
    struct program *program =
        program_create(context, origin_create(ORIGIN_BUILT_IN, names, strlen(names)), num_devices,
                       (struct device *const *)devices);
    cl_device_id *reals = devices_real(num_devices, devices);
    cl_program real = NULL;
    *status = CL_OUT_OF_HOST_MEMORY;
    if (!context->object.driver->clCreateProgramWithBuiltInKernels)
        *status = CL_INVALID_VALUE; /* the driver has no built-in kernels */
    else if (program && reals)
        real = context->object.driver->clCreateProgramWithBuiltInKernels(
            context_real(context), num_devices, reals, names, status);
    free(reals);
    return program ? finish(program, real, status) : NULL;
}

EXPORT cl_program CL_API_CALL clCreateProgramWithBuiltInKernels(cl_context context,
                                                                cl_uint num_devices,
                                                                const cl_device_id *device_list,
                                                                const char *kernel_names,
                                                                cl_int *errcode_ret)
{
    struct context *owner = context_check(context);
    cl_program program = NULL;
    cl_int status = owner ? CL_SUCCESS : CL_INVALID_CONTEXT;
    if (owner && (!num_devices || !device_list || !kernel_names))
        status = CL_INVALID_VALUE;
    if (status == CL_SUCCESS)
        status = devices_check(owner, num_devices, device_list);
    if (status == CL_SUCCESS)
        program = create_built_in(owner, num_devices, device_list, kernel_names, &status);
    if (errcode_ret)
        *errcode_ret = status;
    return program;
}

EXPORT cl_int CL_API_CALL clRetainProgram(cl_program program)
{
    struct program *object = program_check(program);
    return object && object_retain(object) ? CL_SUCCESS : CL_INVALID_PROGRAM;
}

EXPORT cl_int CL_API_CALL clReleaseProgram(cl_program program)
{
    struct program *object = program_check(program);
    return object && object_release(object) ? CL_SUCCESS : CL_INVALID_PROGRAM;
}

/* Stands before the driver in the application's stead: only whether it is taken counts. A driver
 * would call the application's own at every suspend. */
static void CL_CALLBACK ignore_release(cl_program program, void *data)
{
}

EXPORT cl_int CL_API_CALL clSetProgramReleaseCallback(cl_program program, program_notify pfn_notify,
                                                      void *user_data)
{
    struct program *object = program_check(program);
    if (!object)
        return CL_INVALID_PROGRAM;
    if (!pfn_notify)
        return CL_INVALID_VALUE;
    GATE(clSetProgramReleaseCallback);
    const struct driver *driver = object->object.driver;
    if (!driver->clSetProgramReleaseCallback)
        return CL_INVALID_OPERATION;
    cl_int status = driver->clSetProgramReleaseCallback(program_real(object), ignore_release, NULL);
    struct program_callback *callback = malloc(sizeof *callback);
    if (status != CL_SUCCESS || !callback || !callback_prepare()) {
        free(callback);
        return status != CL_SUCCESS ? status : CL_OUT_OF_HOST_MEMORY;
    }
    *callback = (struct program_callback){atomic_load(&object->callbacks), pfn_notify, user_data};
    while (!atomic_compare_exchange_weak(&object->callbacks, &callback->next, callback))
        ;
    return CL_SUCCESS;
}

static struct program_constant *copy_constant(cl_uint id, size_t size, const void *value)
{
    struct program_constant *constant = calloc(1, sizeof *constant);
    if (!constant || !(constant->constant.value = malloc(size))) {
        free(constant);
        return NULL;
    }
    constant->constant.id = id;
    constant->constant.size = size;
    memcpy(constant->constant.value, value, size);
    return constant;
}

/* One that was made from its binary gets all of them when it is made genuine. */
static cl_int tell_driver(struct program *program, cl_uint id, size_t size, const void *value)
{
    if (program->stand_in)
        return program_try_constant(program, id, size, value);
    return program->object.driver->clSetProgramSpecializationConstant(program_real(program), id,
                                                                      size, value);
}

EXPORT cl_int CL_API_CALL clSetProgramSpecializationConstant(cl_program program, cl_uint spec_id,
                                                             size_t spec_size,
                                                             const void *spec_value)
{
    struct program *object = program_check(program);
    if (!object)
        return CL_INVALID_PROGRAM;
    if (!spec_value || !spec_size)
        return CL_INVALID_VALUE;
    NOT_CANCELLED();
    GATE(clSetProgramSpecializationConstant);
    if (!object->object.driver->clSetProgramSpecializationConstant)
        return CL_INVALID_OPERATION;
    program_begin_step(object);
    cl_int status = tell_driver(object, spec_id, spec_size, spec_value);
    program_end_step(object);
    if (status != CL_SUCCESS)
        return status;
    struct program_constant *constant = copy_constant(spec_id, spec_size, spec_value);
    if (!constant)
        return CL_OUT_OF_HOST_MEMORY;
    constant->next = atomic_load(&object->constants);
    while (!atomic_compare_exchange_weak(&object->constants, &constant->next, constant))
        ;
    return CL_SUCCESS;
}
