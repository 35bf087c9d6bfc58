/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory may still be used: by the machine, and below the limits of the process's cgroup
 * and its parents, of both versions. */
#ifndef SHADOWCL_STATE_AVAILABLE_H
#define SHADOWCL_STATE_AVAILABLE_H

#include <stdint.h>

/* Bytes; of a cgroup, what the kernel would drop from its page cache counts as free. UINT64_MAX:
 * nothing is known, or there is no limit. `root` is where /proc and /sys are: "" but for tests. */
uint64_t available_memory(const char *root);
uint64_t available_in_cgroup(const char *root);

#endif
