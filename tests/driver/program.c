/* SPDX-License-Identifier: Apache-2.0 */
/* Programs. A device without fp64 refuses sources that contain the word `double`. */
#include "tests/driver/driver.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

CREATE(cl_program, clCreateProgramWithSource,
       (cl_context context, cl_uint count, const char **strings, const size_t *lengths,
        cl_int *errcode_ret),
       (context, count, strings, lengths, errcode_ret), context)
CREATE(cl_program, clCreateProgramWithBinary,
       (cl_context context, cl_uint num_ids, const cl_device_id *ids, const size_t *lengths,
        const unsigned char **binaries, cl_int *status, cl_int *errcode_ret),
       (context, num_ids, ids, lengths, binaries, status, errcode_ret), context)
CREATE(cl_program, clLinkProgram,
       (cl_context context, cl_uint num_ids, const cl_device_id *ids, const char *options,
        cl_uint num_programs, const cl_program *programs,
        void(CL_CALLBACK *notify)(cl_program, void *), void *user_data, cl_int *errcode_ret),
       (context, num_ids, ids, options, num_programs, programs, notify, user_data, errcode_ret),
       context)
RETAIN(clRetainProgram, cl_program)
RELEASE(clReleaseProgram, cl_program)
QUERY(clGetProgramInfo, cl_program, cl_program_info)

cl_int CL_API_CALL clGetProgramBuildInfo(cl_program program, cl_device_id id,
                                         cl_program_build_info param, size_t space, void *value,
                                         size_t *size_ret)
{
    cl_int err = call_begin(CALL_clGetProgramBuildInfo, devices_of(program));
    struct device *device = device_find(id);
    if (err == CL_SUCCESS && device && param == CL_PROGRAM_BUILD_GLOBAL_VARIABLE_TOTAL_SIZE)
        return device->caps.variables == SIZE_MAX
                   ? CL_INVALID_VALUE
                   : answer(&device->caps.variables, sizeof(size_t), space, value, size_ret);
    return err == CL_SUCCESS
               ? pocl->clGetProgramBuildInfo(program, id, param, space, value, size_ret)
               : err;
}

/* The one built-in kernel of `extras`. Its source is no answer of ours, but the program is pocl's.
 */
static const char *const built_in_source =
    "kernel void " BUILT_IN_KERNEL "(global uint *x, uint a) { x[get_global_id(0)] += a; }";

cl_program CL_API_CALL clCreateProgramWithBuiltInKernels(cl_context context, cl_uint num_ids,
                                                         const cl_device_id *ids, const char *names,
                                                         cl_int *errcode_ret)
{
    cl_int err = call_begin(CALL_clCreateProgramWithBuiltInKernels, devices_of(context));
    if (err != CL_SUCCESS)
        return failed(errcode_ret, err);
    if (!extras_of(context) || !names || strcmp(names, BUILT_IN_KERNEL))
        return failed(errcode_ret, CL_INVALID_VALUE);
    cl_program program = pocl->clCreateProgramWithSource(
        context, 1, (const char **)&built_in_source, NULL, errcode_ret);
    err = program ? pocl->clBuildProgram(program, num_ids, ids, NULL, NULL, NULL) : CL_SUCCESS;
    if (err == CL_SUCCESS)
        return adopt(program);
    pocl->clReleaseProgram(program);
    return failed(errcode_ret, err);
}

/* pocl takes none. With `extras` it is taken, and never called: the shim does not ask for that. */
cl_int CL_API_CALL clSetProgramReleaseCallback(cl_program program,
                                               void(CL_CALLBACK *notify)(cl_program, void *),
                                               void *user_data)
{
    cl_int err = call_begin(CALL_clSetProgramReleaseCallback, devices_of(program));
    cl_context context = NULL;
    if (err == CL_SUCCESS)
        err = pocl->clGetProgramInfo(program, CL_PROGRAM_CONTEXT, sizeof context, &context, NULL);
    if (err != CL_SUCCESS || extras_of(context))
        return err;
    return pocl->clSetProgramReleaseCallback(program, notify, user_data);
}

static bool has_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
        bool begins = at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '_');
        if (begins && !isalnum((unsigned char)at[length]) && at[length] != '_')
            return true;
    }
    return false;
}

static bool uses_double(cl_program program)
{
    size_t size = 0;
    if (pocl->clGetProgramInfo(program, CL_PROGRAM_SOURCE, 0, NULL, &size) != CL_SUCCESS)
        return false;
    char *source = calloc(1, size + 1);
    bool used =
        source &&
        pocl->clGetProgramInfo(program, CL_PROGRAM_SOURCE, size, source, NULL) == CL_SUCCESS &&
        has_word(source, "double");
    free(source);
    return used;
}

/* Can these devices, or all of the program's if none is named, build it? */
static bool can_build(cl_program program, cl_uint num_ids, const cl_device_id *ids)
{
    unsigned mask = ids ? 0 : program_mask(program);
    for (cl_uint i = 0; ids && i < num_ids; i++)
        mask |= device_mask(ids[i]);
    for (unsigned i = 0; i < num_devices; i++)
        if (mask & 1u << i && devices[i].caps.no_fp64 && uses_double(program))
            return false;
    return true;
}

cl_int CL_API_CALL clBuildProgram(cl_program program, cl_uint num_ids, const cl_device_id *ids,
                                  const char *options,
                                  void(CL_CALLBACK *notify)(cl_program, void *), void *user_data)
{
    cl_int err = call_begin(CALL_clBuildProgram, devices_of(program));
    if (err == CL_SUCCESS && program && !can_build(program, num_ids, ids))
        err = CL_BUILD_PROGRAM_FAILURE;
    if (err != CL_SUCCESS)
        return err;
    char *all = il_options(program, options);
    err = pocl->clBuildProgram(program, num_ids, ids, all ? all : options, notify, user_data);
    free(all);
    return err;
}

cl_int CL_API_CALL clCompileProgram(cl_program program, cl_uint num_ids, const cl_device_id *ids,
                                    const char *options, cl_uint num_headers,
                                    const cl_program *headers, const char **names,
                                    void(CL_CALLBACK *notify)(cl_program, void *), void *user_data)
{
    cl_int err = call_begin(CALL_clCompileProgram, devices_of(program));
    if (err == CL_SUCCESS && program && !can_build(program, num_ids, ids))
        err = CL_COMPILE_PROGRAM_FAILURE;
    if (err != CL_SUCCESS)
        return err;
    return pocl->clCompileProgram(program, num_ids, ids, options, num_headers, headers, names,
                                  notify, user_data);
}
