/* SPDX-License-Identifier: Apache-2.0 */
/* A process that goes on by itself: it watches a program that it is no relative of. */
#ifndef SHADOWCL_AGENT_APART_H
#define SHADOWCL_AGENT_APART_H

#include <stdbool.h>
#include <stddef.h>

/* Forks it: twice removed, so that it is nobody's child, in a session of its own, at `/`, and with
 * nothing open but the descriptors in `kept`, whose new numbers are put there, and stderr if that
 * is wanted; the other standard ones are /dev/null. 0 in it, 1 in the caller, -1 and errno without
 * one. */
int apart_fork(int *kept, size_t count, bool with_stderr);

#endif
