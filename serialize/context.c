/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts as messages. See save.h. */
#include "serialize/save.h"

/* A handle means nothing elsewhere: in its place stands the platform's serial. */
static void name_platform(Shadowcl__Image__Properties *properties)
{
    for (size_t i = 0; properties && i + 1 < properties->n_words; i += 2)
        if (properties->words[i] == CL_CONTEXT_PLATFORM)
            properties->words[i + 1] =
                save_serial(platform_check((cl_platform_id)properties->words[i + 1]));
}

void save_context(struct scratch *scratch, const struct context *context,
                  Shadowcl__Image__Context *to)
{
    to->devices = scratch_array(scratch, context->num_devices, sizeof *to->devices);
    for (cl_uint i = 0; to->devices && i < context->num_devices; i++)
        to->devices[to->n_devices++] = save_serial(context->devices[i]);
    to->from_type = context->from_type;
    to->shared = context->shared;
    to->properties = save_properties(scratch, context->properties, context->num_properties);
    name_platform(to->properties);
    to->has_notify = context->notify != NULL;
}
