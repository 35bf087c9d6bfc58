/* SPDX-License-Identifier: Apache-2.0 */
/* What is left to be copied: see tally.h. */
#include "state/tally.h"

#include <stdatomic.h>

static _Atomic int64_t left;
static atomic_bool on, counting, to_file;

void tally_begin(uint64_t bytes)
{
    atomic_store(&left, (int64_t)bytes);
    atomic_store(&to_file, false);
    atomic_store(&counting, true);
    atomic_store(&on, true);
}

void tally_to_file(void)
{
    atomic_store(&to_file, true);
    atomic_store(&counting, false);
}

void tally_hold(void)
{
    atomic_store(&counting, false);
}

void tally_end(void)
{
    atomic_store(&counting, false);
    atomic_store(&on, false);
}

void tally_done(uint64_t bytes)
{
    if (atomic_load(&counting))
        atomic_fetch_sub(&left, (int64_t)bytes);
}

bool tally_is_on(void)
{
    return atomic_load(&on);
}

bool tally_is_to_file(void)
{
    return atomic_load(&to_file);
}

uint64_t tally_left(void)
{
    int64_t bytes = atomic_load(&left);
    return bytes > 0 ? (uint64_t)bytes : 0;
}
