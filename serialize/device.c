/* SPDX-License-Identifier: Apache-2.0 */
/* Devices and partitions as messages. See save.h. */
#include "serialize/save.h"

/* All parts of it tell the same number: the serial of the first that is still there. */
static uint64_t number_of(const struct partition *partition)
{
    uint64_t number = 0;
    for (cl_uint i = 0; i < partition->num_parts && !number; i++)
        number = save_serial(partition->parts[i]);
    return number;
}

static Shadowcl__Image__Partition *save_partition(struct scratch *scratch,
                                                  const struct partition *partition)
{
    if (!partition)
        return NULL;
    Shadowcl__Image__Partition *to = scratch_take(scratch, sizeof *to);
    if (!to)
        return NULL;
    shadowcl__image__partition__init(to);
    to->number = number_of(partition);
    to->ext = partition->ext;
    to->num_parts = partition->num_parts;
    to->properties = scratch_array(scratch, partition->num_words - 1, sizeof *to->properties);
    for (size_t i = 0; to->properties && i < partition->num_words - 1; i++)
        to->properties[to->n_properties++] = partition->properties[i];
    return to;
}

void save_device(struct scratch *scratch, const struct device *device, Shadowcl__Image__Device *to)
{
    to->platform = save_serial(device->platform);
    to->parent = save_serial(device->parent);
    to->type = device->type;
    to->index = device->index;
    to->name = save_text(device->name);
    to->identity = save_text(device->identity);
    to->captured_on = save_text(device_captured_on(device));
    to->is_default = device->is_default;
    to->info = save_info(scratch, &device->info, &to->n_info);
    to->partition = save_partition(scratch, device->partition);
}
