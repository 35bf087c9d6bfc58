/* SPDX-License-Identifier: Apache-2.0 */
/* Has any other thread of the program run meanwhile? By the processor time of each, which costs a
 * system call. Threads of ours don't count, nor do those that came in between: whoever made them
 * ran. One look at a time. */
#ifndef SHADOWCL_SHIM_ALONE_H
#define SHADOWCL_SHIM_ALONE_H

#include <stdbool.h>

void alone_begin(void);
/* None has run since alone_begin. */
bool alone_end(void);

#endif
