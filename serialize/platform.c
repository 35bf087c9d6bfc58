/* SPDX-License-Identifier: Apache-2.0 */
/* Platforms as messages. See save.h. */
#include "serialize/save.h"

void save_platform(struct scratch *scratch, const struct platform *platform,
                   Shadowcl__Image__Platform *to)
{
    to->name = save_text(platform->name);
    to->suffix = save_text(platform->suffix);
    to->index = platform->index;
    to->info = save_info(scratch, &platform->info, &to->n_info);
}
