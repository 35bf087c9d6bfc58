/* SPDX-License-Identifier: Apache-2.0 */
/* Command buffers, and what is recorded in them, as messages. See save.h. */
#include <string.h>

#include "serialize/save.h"

#define COLOUR 16 /* bytes of what an image is filled with */

static void save_recorded(struct scratch *scratch, const struct recorded *command,
                          Shadowcl__Image__Recorded *to)
{
    shadowcl__image__recorded__init(to);
    to->kind = (Shadowcl__Image__Recorded__Kind)command->kind;
    to->waits = scratch_array(scratch, command->num_waits, sizeof *to->waits);
    for (cl_uint i = 0; to->waits && i < command->num_waits; i++)
        to->waits[to->n_waits++] = command->waits[i];
    to->source = save_serial(command->source);
    to->target = save_serial(command->target);
    to->offset = command->offset;
    to->other_offset = command->other_offset;
    to->size = command->size;
    to->pitches = save_numbers(scratch, command->pitches, 4);
    to->n_pitches = to->pitches ? 4 : 0;
    to->sizes = save_numbers(scratch, &command->sizes[0][0], 9);
    to->n_sizes = to->sizes ? 9 : 0;
    to->pattern = save_bytes(command->pattern,
                             command->kind == RECORDED_FILL_IMAGE ? COLOUR : command->pattern_size);
    to->kernel = save_serial(command->kernel);
    if (command->args) {
        to->args = save_args(scratch, command->args->args, command->args->count);
        to->n_args = to->args ? command->args->count : 0;
    }
    to->dims = command->dims;
    to->has_offset = command->has_offset;
    to->has_global = command->has_global;
    to->has_local = command->has_local;
}

void save_command_buffer(struct scratch *scratch, const struct command_buffer *buffer,
                         Shadowcl__Image__CommandBuffer *to)
{
    Shadowcl__Image__Recorded *all = scratch_array(scratch, buffer->num_commands, sizeof *all);
    to->commands = scratch_array(scratch, buffer->num_commands, sizeof(void *));
    for (cl_uint i = 0; all && to->commands && i < buffer->num_commands; i++) {
        save_recorded(scratch, buffer->commands[i], &all[i]);
        to->commands[to->n_commands++] = &all[i];
    }
    to->queue = save_serial(buffer->queue);
    to->properties = save_properties(scratch, buffer->properties, buffer->num_properties);
    to->finalized = atomic_load(&((struct command_buffer *)buffer)->finalized);
}
