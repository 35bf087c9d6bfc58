/* SPDX-License-Identifier: Apache-2.0 */
/* All processes under shadowcl, as suspend, resume and status see them. */
#ifndef SHADOWCL_DAEMON_CROWD_H
#define SHADOWCL_DAEMON_CROWD_H

#include "agent/answer.h"
#include "agent/targets.h"

struct crowd {
    struct targets targets;
    /* `targets.list` is in two parts: first those that have yet to be asked, then the others. */
    size_t num_asked;
};

/* Finds them and asks for their states. Those that went meanwhile are left out; those that don't
 * say their state have failed. */
int crowd_find(struct crowd *crowd, struct error *err);
void crowd_finish(struct crowd *crowd);
/* Puts those that are in `state`, or have failed, behind the others. */
void crowd_leave_out(struct crowd *crowd, const char *state);
/* {"pid", "command", "state"} of each, for `process` events; the caller's. */
json_t *crowd_states(const struct crowd *crowd);
/* PROCESS of docs/protocol.md; the caller's. */
json_t *crowd_processes(const struct crowd *crowd);
/* Elements of the answer to suspend or resume, by pid; the caller's. */
json_t *crowd_elements(const struct crowd *crowd, enum answer_kind kind);
/* Bytes on the device of all that said so. */
json_int_t crowd_bytes(const struct crowd *crowd);
/* Of these, what a suspend would have to keep: those that are suspended have kept it. */
json_int_t crowd_bytes_to_keep(const struct crowd *crowd);
/* Is one being copied by CRIU? It can't be asked, and takes a device again afterwards. */
bool crowd_is_copied(struct error *err);
const struct report *crowd_failed(const struct crowd *crowd);
/* Its failure, with the process named. */
struct error crowd_blame(const struct report *report);

#endif
