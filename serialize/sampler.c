/* SPDX-License-Identifier: Apache-2.0 */
/* Samplers as messages. See save.h. */
#include "serialize/save.h"

void save_sampler(struct scratch *scratch, const struct sampler *sampler,
                  Shadowcl__Image__Sampler *to)
{
    to->context = save_serial(sampler->context);
    to->properties = save_properties(scratch, sampler->num_properties ? sampler->properties : NULL,
                                     sampler->num_properties);
    to->normalized = sampler->normalized;
    to->addressing = sampler->addressing;
    to->filter = sampler->filter;
}
