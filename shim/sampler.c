/* SPDX-License-Identifier: Apache-2.0 */
/* OpenCL 3.0 §5.7 Sampler objects. */
#include "state/sampler.h"

#include "shim/export.h"
#include "shim/gate.h"

static cl_sampler finish(struct sampler *sampler, cl_int *status)
{
    *status = sampler ? sampler_open(sampler) : CL_OUT_OF_HOST_MEMORY;
    if (*status == CL_SUCCESS) {
        object_publish(sampler);
        return (cl_sampler)sampler;
    }
    if (sampler)
        sampler_discard(sampler);
    return NULL;
}

/* No list is made like an empty one, but not told as one (CL_SAMPLER_PROPERTIES). */
static struct sampler *with_properties(struct context *context,
                                       const cl_sampler_properties *properties)
{
    const cl_sampler_properties none[] = {0};
    struct sampler *sampler = sampler_create(context, properties ? properties : none);
    if (sampler && !properties)
        sampler->num_properties = 0;
    return sampler;
}

EXPORT cl_sampler CL_API_CALL clCreateSamplerWithProperties(
    cl_context context, const cl_sampler_properties *sampler_properties, cl_int *errcode_ret)
{
    cl_sampler sampler = NULL;
    cl_int status = CL_INVALID_CONTEXT;
    struct context *owner = context_check(context);
    if (owner) {
        GATE(clCreateSamplerWithProperties);
        status = CL_INVALID_OPERATION;
        if (owner->object.driver->clCreateSamplerWithProperties)
            sampler = finish(with_properties(owner, sampler_properties), &status);
    }
    if (errcode_ret)
        *errcode_ret = status;
    return sampler;
}

EXPORT cl_sampler CL_API_CALL clCreateSampler(cl_context context, cl_bool normalized_coords,
                                              cl_addressing_mode addressing_mode,
                                              cl_filter_mode filter_mode, cl_int *errcode_ret)
{
    cl_sampler handle = NULL;
    cl_int status = CL_INVALID_CONTEXT;
    struct context *owner = context_check(context);
    if (owner) {
        GATE(clCreateSampler);
        struct sampler *sampler = sampler_create(owner, NULL);
        if (sampler) {
            sampler->normalized = normalized_coords;
            sampler->addressing = addressing_mode;
            sampler->filter = filter_mode;
        }
        handle = finish(sampler, &status);
    }
    if (errcode_ret)
        *errcode_ret = status;
    return handle;
}

EXPORT cl_int CL_API_CALL clRetainSampler(cl_sampler sampler)
{
    struct sampler *shadow = sampler_check(sampler);
    return shadow && object_retain(shadow) ? CL_SUCCESS : CL_INVALID_SAMPLER;
}

EXPORT cl_int CL_API_CALL clReleaseSampler(cl_sampler sampler)
{
    struct sampler *shadow = sampler_check(sampler);
    return shadow && object_release(shadow) ? CL_SUCCESS : CL_INVALID_SAMPLER;
}

EXPORT cl_int CL_API_CALL clGetSamplerInfo(cl_sampler sampler, cl_sampler_info param_name,
                                           size_t param_value_size, void *param_value,
                                           size_t *param_value_size_ret)
{
    const struct answer to = {param_value_size, param_value, param_value_size_ret};
    struct sampler *shadow = sampler_check(sampler);
    if (!shadow)
        return CL_INVALID_SAMPLER;
    switch (param_name) {
    case CL_SAMPLER_REFERENCE_COUNT:
        return info_value(to, (cl_uint)atomic_load(&shadow->object.refs));
    case CL_SAMPLER_CONTEXT:
        return info_value(to, (cl_context)shadow->context);
    case CL_SAMPLER_NORMALIZED_COORDS:
        return info_value(to, shadow->normalized);
    case CL_SAMPLER_ADDRESSING_MODE:
        return info_value(to, shadow->addressing);
    case CL_SAMPLER_FILTER_MODE:
        return info_value(to, shadow->filter);
    case CL_SAMPLER_PROPERTIES:
        return info_bytes(to, shadow->properties,
                          shadow->num_properties * sizeof(cl_sampler_properties));
    default:
        return CL_INVALID_VALUE;
    }
}
