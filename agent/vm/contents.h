/* SPDX-License-Identifier: Apache-2.0 */
/* How far all programs together are with what they have on the device. The agent tells it of one
 * after the other. */
#ifndef SHADOWCL_AGENT_VM_CONTENTS_H
#define SHADOWCL_AGENT_VM_CONTENTS_H

#include <jansson.h>
#include <stddef.h>

struct contents {
    struct contents_share *list; /* owned; of the programs that were told of in this phase */
    size_t count;
    double expected; /* bytes of all programs; 0: not known */
};

/* An answer of the agent's that has the bytes of all programs. */
void contents_expect(struct contents *contents, const json_t *answer);
/* Another phase begins. */
void contents_forget(struct contents *contents);
/* Takes in the data of a `progress`. */
void contents_take(struct contents *contents, const json_t *data);
/* Bytes, of all programs: *done of *of. */
void contents_sum(const struct contents *contents, double *done, double *of);
void contents_finish(struct contents *contents);

#endif
