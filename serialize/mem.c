/* SPDX-License-Identifier: Apache-2.0 */
/* Memory objects as messages, but for their bytes. See save.h. */
#include "serialize/save.h"
#include "state/image.h"

static Shadowcl__Image__Image *save_image(struct scratch *scratch, const struct mem *mem)
{
    if (!mem->image)
        return NULL;
    Shadowcl__Image__Image *to = scratch_take(scratch, sizeof *to);
    if (!to)
        return NULL;
    shadowcl__image__image__init(to);
    cl_image_format format = image_format(mem->image);
    cl_image_desc desc = image_desc(mem);
    struct image_told told = image_told(mem);
    to->channel_order = format.image_channel_order;
    to->channel_type = format.image_channel_data_type;
    to->width = desc.image_width;
    to->height = desc.image_height;
    to->depth = desc.image_depth;
    to->array_size = desc.image_array_size;
    to->row_pitch = desc.image_row_pitch;
    to->slice_pitch = desc.image_slice_pitch;
    to->mip_levels = desc.num_mip_levels;
    to->samples = desc.num_samples;
    to->told_row_pitch = told.row_pitch;
    to->told_slice_pitch = told.slice_pitch;
    to->told_size = told.size;
    if (mem->image->element != image_element_size(&format))
        to->element = mem->image->element;
    return to;
}

static void save_mappings(struct scratch *scratch, const struct mem *mem, Shadowcl__Image__Mem *to)
{
    size_t count = 0;
    for (const struct mapping *m = mem->mappings; m; m = m->next)
        count++;
    to->mappings = scratch_array(scratch, count, sizeof(void *));
    Shadowcl__Image__Mapping *mappings = scratch_array(scratch, count, sizeof *mappings);
    if (!to->mappings || !mappings)
        return;
    for (const struct mapping *m = mem->mappings; m; m = m->next) {
        Shadowcl__Image__Mapping *one = &mappings[to->n_mappings];
        to->mappings[to->n_mappings++] = one;
        shadowcl__image__mapping__init(one);
        one->pointer = (uintptr_t)m->pointer;
        one->flags = m->flags;
        one->origin = save_numbers(scratch, m->origin, 3);
        one->region = save_numbers(scratch, m->region, 3);
        one->n_origin = one->origin ? 3 : 0;
        one->n_region = one->region ? 3 : 0;
    }
}

void save_mem(struct scratch *scratch, const struct mem *mem, Shadowcl__Image__Mem *to)
{
    to->context = save_serial(mem->context);
    to->parent = save_serial(mem->parent);
    to->type = mem->type;
    to->flags = mem->flags;
    to->size = mem->size;
    to->origin = mem->origin;
    to->host_ptr = (uintptr_t)mem->host_ptr;
    to->properties = save_properties(scratch, mem_properties(mem), mem_num_properties(mem));
    to->image = save_image(scratch, mem);
    save_mappings(scratch, mem, to);
}
