/* SPDX-License-Identifier: Apache-2.0 */
/* Queues as messages. See save.h. */
#include "serialize/save.h"

void save_queue(struct scratch *scratch, const struct queue *queue, Shadowcl__Image__Queue *to)
{
    to->context = save_serial(queue->context);
    to->device = save_serial(queue->device);
    to->properties = save_properties(scratch, queue->properties, queue->num_properties);
    to->flags = queue->flags;
    to->size = queue->size;
    to->held = atomic_load(&((struct queue *)queue)->held);
}
