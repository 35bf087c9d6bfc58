/* SPDX-License-Identifier: Apache-2.0 */
/* A driver that has been let go leaves free memory behind, its compiler's above all: half of what a
 * program with pocl has. The allocator keeps that for later. Nobody needs it now, a copy by CRIU
 * would hold it, and what each arena has kept since the last time would grow. */
#include "shim/trim.h"

#include <malloc.h>

void trim_memory(void)
{
    malloc_trim(0);
}
