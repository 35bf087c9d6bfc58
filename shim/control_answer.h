/* SPDX-License-Identifier: Apache-2.0 */
/* What the control thread does for a request, and its answer as a message. */
#ifndef SHADOWCL_SHIM_CONTROL_ANSWER_H
#define SHADOWCL_SHIM_CONTROL_ANSWER_H

#include <stdbool.h>

#include "control.pb-c.h"

enum {
    CONTROL_NO_ROOM = -2
}; /* in place of a descriptor: one came, and there was no room for it */

/* Carries the request out. NULL without memory; to be freed by control_answer_free (NULL is fine).
 * `asker` is the connection: a suspend that is long in preparing is left when nobody is there.
 * `attached` is the file that came with the request, -1, or CONTROL_NO_ROOM; it stays the caller's.
 */
Shadowcl__Control__Response *control_answer(const Shadowcl__Control__Request *request, int asker,
                                            int attached);
void control_answer_free(Shadowcl__Control__Response *answer);
/* Of a process that has left its socket: was it suspended for that alone? Else it stays so. */
bool control_goes_on(void);

#endif
