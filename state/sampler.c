/* SPDX-License-Identifier: Apache-2.0 */
/* Samplers: see sampler.h. */
#include "state/sampler.h"

#include <stdlib.h>
#include <string.h>

/* The three properties that every sampler has; others are only passed on. */
static void read_property(struct sampler *sampler, cl_sampler_properties property,
                          cl_sampler_properties value)
{
    switch (property) {
    case CL_SAMPLER_NORMALIZED_COORDS:
        sampler->normalized = (cl_bool)value;
        break;
    case CL_SAMPLER_ADDRESSING_MODE:
        sampler->addressing = (cl_addressing_mode)value;
        break;
    case CL_SAMPLER_FILTER_MODE:
        sampler->filter = (cl_filter_mode)value;
        break;
    default:
        break;
    }
}

struct sampler *sampler_create(struct context *context, const cl_sampler_properties *properties)
{
    struct sampler *sampler = object_create(KIND_SAMPLER, sizeof *sampler, context->object.driver);
    if (!sampler)
        return NULL;
    sampler->context = object_hold(context);
    sampler->normalized = CL_TRUE;
    sampler->addressing = CL_ADDRESS_CLAMP;
    sampler->filter = CL_FILTER_NEAREST;
    if (!properties)
        return sampler;
    size_t words = 1;
    for (; properties[words - 1]; words += 2)
        read_property(sampler, properties[words - 1], properties[words]);
    sampler->properties = malloc(words * sizeof *properties);
    if (!sampler->properties) {
        sampler_discard(sampler);
        return NULL;
    }
    memcpy(sampler->properties, properties, words * sizeof *properties);
    sampler->num_properties = words;
    return sampler;
}

static void finish(struct sampler *sampler)
{
    sampler_release(sampler);
    free(sampler->properties);
    object_drop(sampler->context);
}

void sampler_discard(struct sampler *sampler)
{
    finish(sampler);
    object_discard(sampler);
}

void sampler_destroy(void *object)
{
    finish(object);
}

cl_int sampler_open(struct sampler *sampler)
{
    const struct driver *driver = sampler->object.driver;
    cl_context context = context_real(sampler->context);
    cl_int status = CL_SUCCESS;
    if (sampler->properties && driver->version >= 200 && driver->clCreateSamplerWithProperties)
        sampler->object.real =
            driver->clCreateSamplerWithProperties(context, sampler->properties, &status);
    else
        sampler->object.real = driver->clCreateSampler(
            context, sampler->normalized, sampler->addressing, sampler->filter, &status);
    if (status != CL_SUCCESS)
        sampler->object.real = NULL;
    return status;
}

void sampler_release(struct sampler *sampler)
{
    cl_sampler real = sampler_real(sampler);
    sampler->object.real = NULL;
    if (real)
        RELEASE(sampler->object.driver, clReleaseSampler, real);
}

int sampler_rebuild(struct sampler *sampler, struct error *err)
{
    sampler->object.driver = sampler->context->object.driver;
    cl_int status = sampler_open(sampler);
    if (status == CL_SUCCESS)
        return 0;
    return error_set(err, 0, "the driver can't make it again (%d)", status);
}
