/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.8.7 Program object queries: answered from the shadow, but for binaries that were
 * not fetched yet. */
#include <string.h>

#include "shim/cancel.h"
#include "shim/export.h"
#include "shim/gate.h"
#include "state/program.h"

static cl_int answer_source(const struct program *program, struct answer to)
{
    if (program->origin->kind == ORIGIN_SOURCE)
        return info_bytes(to, program->origin->text, program->origin->size + 1);
    return info_string(to, "");
}

static cl_int answer_il(const struct program *program, struct answer to)
{
    bool il = program->origin->kind == ORIGIN_IL;
    if (!program->tells_il)
        return CL_INVALID_VALUE;
    return info_bytes(to, il ? program->origin->text : NULL, il ? program->origin->size : 0);
}

/* Those of *build, whatever comes after it. A step that is going on is waited for, as drivers do.
 */
static cl_int fetch(struct program *program, struct build **build)
{
    *build = atomic_load(&program->build);
    if (atomic_load(&(*build)->fetched) == 2)
        return CL_SUCCESS;
    NOT_CANCELLED();
    GATE(clGetProgramInfo);
    program_begin_fetch(program);
    *build = atomic_load(&program->build);
    cl_int status = program_fetch(program);
    program_end_step(program);
    return status;
}

static cl_int answer_sizes(struct program *program, struct answer to)
{
    size_t total = program->num_devices * sizeof(size_t);
    struct build *build;
    if (to.value && to.size < total)
        return CL_INVALID_VALUE;
    cl_int status = fetch(program, &build);
    if (status != CL_SUCCESS)
        return status;
    unsigned char *sizes = to.value; /* which need not be aligned */
    for (cl_uint i = 0; i < build->num_devices && sizes; i++)
        memcpy(sizes + i * sizeof(size_t), &build->devices[i].binary.size, sizeof(size_t));
    if (to.size_ret)
        *to.size_ret = total;
    return CL_SUCCESS;
}

/* §5.8.7: an array of pointers, each to room for one binary, or NULL. */
static cl_int answer_binaries(struct program *program, struct answer to)
{
    size_t total = program->num_devices * sizeof(unsigned char *);
    if (to.value && to.size < total)
        return CL_INVALID_VALUE;
    struct build *build = atomic_load(&program->build);
    cl_int status = to.value ? fetch(program, &build) : CL_SUCCESS;
    if (status != CL_SUCCESS)
        return status;
    const unsigned char *pointers = to.value; /* which need not be aligned */
    for (cl_uint i = 0; i < build->num_devices && pointers; i++) {
        const struct blob *binary = &build->devices[i].binary;
        unsigned char *room;
        memcpy(&room, pointers + i * sizeof room, sizeof room);
        if (!room || !binary->size)
            continue;
        memcpy(room, binary->bytes, binary->size);
        recipe_remember(binary, build->devices[i].recipe);
    }
    if (to.size_ret)
        *to.size_ret = total;
    return CL_SUCCESS;
}

static cl_int answer_known(struct info_cache *info, cl_uint param, struct answer to,
                           cl_int otherwise)
{
    const struct info_entry *entry = info_cache_find(info, param);
    return entry ? info_bytes(to, entry->bytes, entry->size) : otherwise;
}

EXPORT cl_int CL_API_CALL clGetProgramInfo(cl_program program, cl_program_info param_name,
                                           size_t param_value_size, void *param_value,
                                           size_t *param_value_size_ret)
{
    struct answer to = {param_value_size, param_value, param_value_size_ret};
    struct program *object = program_check(program);
    if (!object)
        return CL_INVALID_PROGRAM;
    switch (param_name) {
    case CL_PROGRAM_REFERENCE_COUNT:
        return info_value(to, (cl_uint)atomic_load(&object->object.refs));
    case CL_PROGRAM_CONTEXT:
        return info_value(to, (cl_context)object->context);
    case CL_PROGRAM_NUM_DEVICES:
        return info_value(to, object->num_devices);
    case CL_PROGRAM_DEVICES:
        return info_bytes(to, object->devices, object->num_devices * sizeof(cl_device_id));
    case CL_PROGRAM_SOURCE:
        return answer_source(object, to);
    case CL_PROGRAM_IL:
        return answer_il(object, to);
    case CL_PROGRAM_BINARY_SIZES:
        return answer_sizes(object, to);
    case CL_PROGRAM_BINARIES:
        return answer_binaries(object, to);
    case CL_PROGRAM_NUM_KERNELS:
    case CL_PROGRAM_KERNEL_NAMES:
        return answer_known(&atomic_load(&object->build)->info, param_name, to,
                            CL_INVALID_PROGRAM_EXECUTABLE);
    default:
        return answer_known(&atomic_load(&object->build)->info, param_name, to, CL_INVALID_VALUE);
    }
}

EXPORT cl_int CL_API_CALL clGetProgramBuildInfo(cl_program program, cl_device_id device,
                                                cl_program_build_info param_name,
                                                size_t param_value_size, void *param_value,
                                                size_t *param_value_size_ret)
{
    struct answer to = {param_value_size, param_value, param_value_size_ret};
    struct program *object = program_check(program);
    if (!object)
        return CL_INVALID_PROGRAM;
    struct device *owner = device_check(device);
    int index = owner ? program_device_index(object, owner) : -1;
    if (index < 0)
        return CL_INVALID_DEVICE;
    if (param_name == CL_PROGRAM_BUILD_STATUS && program_is_building(object))
        return info_value(to, (cl_build_status)CL_BUILD_IN_PROGRESS);
    struct build *build = atomic_load(&object->build);
    return answer_known(&build->devices[index].info, param_name, to, CL_INVALID_VALUE);
}
