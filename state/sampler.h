/* SPDX-License-Identifier: Apache-2.0 */
/* Samplers. */
#ifndef SHADOWCL_STATE_SAMPLER_H
#define SHADOWCL_STATE_SAMPLER_H

#include "state/context.h"

struct sampler {
    struct object object;
    struct context *context;           /* held */
    cl_sampler_properties *properties; /* owned, as given, 0-terminated; NULL: clCreateSampler */
    size_t num_properties;             /* words, the 0 included; 0: no list given */
    cl_bool normalized;
    cl_addressing_mode addressing;
    cl_filter_mode filter;
};

static inline struct sampler *sampler_check(cl_sampler handle)
{
    return object_check(handle, KIND_SAMPLER);
}

static inline cl_sampler sampler_real(const struct sampler *sampler)
{
    return sampler->object.real;
}

/* A new sampler, not yet published: holds the context, copies the properties and reads them. NULL
 * without memory. */
struct sampler *sampler_create(struct context *context, const cl_sampler_properties *properties);
/* Makes the driver's sampler; what the driver answers. */
cl_int sampler_open(struct sampler *sampler);
void sampler_discard(struct sampler *sampler);

void sampler_release(struct sampler *sampler);
int sampler_rebuild(struct sampler *sampler, struct error *err);

#endif
