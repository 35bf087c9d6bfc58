/* SPDX-License-Identifier: Apache-2.0 */
/* Events as messages. See save.h. */
#include <string.h>

#include "serialize/save.h"

void save_event(struct scratch *scratch, struct event *event, Shadowcl__Image__Event *to)
{
    to->context = save_serial(event->context);
    to->queue = save_serial(event->queue);
    to->type = event->type;
    to->place = (Shadowcl__Image__Event__Place)event_place(event);
    to->status = atomic_load(&event->status);
    if (!event->profiled)
        return;
    to->times = scratch_array(scratch, 5, sizeof *to->times);
    for (size_t i = 0; to->times && i < 5; i++)
        to->times[to->n_times++] = event->times[i];
}
