/* SPDX-License-Identifier: Apache-2.0 */
/* Platforms and devices. They are on no driver until they are placed. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "serialize/load_kinds.h"

int load_platform(struct load *load, const Shadowcl__Image__Platform *message, void **it,
                  struct error *err)
{
    struct platform *platform = platform_load(&load->nowhere, message->name, message->suffix);
    if (!platform)
        return load_no_memory(err);
    platform->index = message->index;
    if (load_info(&platform->info, message->info, message->n_info, err) != 0) {
        load_undo(platform);
        return -1;
    }
    *it = platform;
    return 0;
}

static struct partition *find_partition(const struct load *load, uint64_t number)
{
    for (size_t i = 0; i < load->num_partitions; i++)
        if (load->partitions[i].number == number)
            return load->partitions[i].it;
    return NULL;
}

static struct device *any_part(const struct partition *partition)
{
    cl_uint i = 0;
    while (!partition->parts[i])
        i++;
    return partition->parts[i];
}

/* The first part of a partition makes it. */
static int make_partition(struct load *load, const Shadowcl__Image__Partition *message,
                          struct device *device, cl_uint index, struct error *err)
{
    struct load_partition *partitions =
        realloc(load->partitions, (load->num_partitions + 1) * sizeof *partitions);
    if (!partitions)
        return load_no_memory(err);
    load->partitions = partitions;
    if (index >= message->num_parts)
        return refuse(err, "it is part %u of %u", index, message->num_parts);
    struct partition *partition = partition_load(message->properties, message->n_properties,
                                                 message->ext, message->num_parts);
    if (!partition)
        return refuse(err, "its partition into %u parts is no good", message->num_parts);
    partition_join(partition, device, index);
    partitions[load->num_partitions++] = (struct load_partition){message->number, partition};
    return 0;
}

static int join_partition(struct load *load, const Shadowcl__Image__Partition *message,
                          struct device *device, cl_uint index, struct error *err)
{
    struct partition *partition = find_partition(load, message->number);
    if (!partition)
        return make_partition(load, message, device, index, err);
    if (any_part(partition)->parent != device->parent || partition->ext != message->ext ||
        partition->num_parts != message->num_parts)
        return refuse(err, "its partition %" PRIu64 " is not as another part has it",
                      message->number);
    if (!partition_join(partition, device, index))
        return refuse(err, "there is another part %u, or none of that number", index);
    return 0;
}

static int fill(struct load *load, const Shadowcl__Image__Device *message, struct device *device,
                struct error *err)
{
    device->type = message->type;
    device->index = message->index;
    device->is_default = message->is_default;
    if (load_info(&device->info, message->info, message->n_info, err) != 0)
        return -1;
    return message->partition
               ? join_partition(load, message->partition, device, message->index, err)
               : 0;
}

int load_device(struct load *load, const Shadowcl__Image__Device *message, void **it,
                struct error *err)
{
    struct device *parent = NULL;
    struct platform *platform =
        load_object_of(load, message->platform, KIND_PLATFORM, "platform", err);
    if (!platform)
        return -1;
    if (message->parent &&
        !(parent = load_object_of(load, message->parent, KIND_DEVICE, "parent", err)))
        return -1;
    if (parent && parent->platform != platform)
        return refuse(err, "its parent %" PRIu64 " is of another platform", message->parent);
    if (!parent != !message->partition)
        return refuse(err, "it has %s",
                      parent ? "a parent and is no part of it" : "no parent and is a part");
    struct device *device = device_load(platform, parent, message->name, message->identity,
                                        *message->captured_on ? message->captured_on : NULL);
    if (!device)
        return load_no_memory(err);
    if (fill(load, message, device, err) != 0) {
        device_discard(device);
        return -1;
    }
    *it = device;
    return 0;
}
