/* SPDX-License-Identifier: Apache-2.0 */
/* Destroying objects on a thread of its own: see reap.h. */
#include "shim/reap.h"

#include "shim/beside.h"
#include "state/object.h"

void reap_late(void)
{
    if (object_any_dying())
        beside_run(object_reap_late);
}
